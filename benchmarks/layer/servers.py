"""The servers of the rows of the channel layer: each is a server with a layer, and all use one Redis, that of the bench.

channels_redis runs under uvicorn and Daphne, as its users run it, with the consumer that the tutorial of Django Channels has.
Towpath runs that same consumer, with its own backend, and an application that puts reply channels into the group.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.deploys.fleet import Redis
from benchmarks.servers import (
    COMPILED,
    Command,
    Server,
    daphne,
    free_port,
    own_folder,
    profiler,
    started,
    towpath,
    towpath_compiled,
    uvicorn,
    wait_for_workers,
)

APPLICATION = "layer.apps:application"


@dataclass(frozen=True, slots=True)
class Kind:
    """A server, and the layer that its application uses: a name of `layers`, or `reply` for Towpath's own with reply channels."""

    command: Command
    layer: str
    workers: int = 1


KINDS: dict[str, Kind] = {
    "towpath": Kind(towpath, "reply"),
    COMPILED: Kind(towpath_compiled, "reply"),
    "towpath-consumer": Kind(towpath, "towpath"),
    "towpath-consumer-2": Kind(towpath, "towpath", workers=2),
    "uvicorn-core": Kind(uvicorn, "core"),
    "uvicorn-pubsub": Kind(uvicorn, "pubsub"),
    "daphne-core": Kind(daphne, "core"),
    "daphne-pubsub": Kind(daphne, "pubsub"),
}


@contextmanager
def running(name: str, redis: Redis, profile: Path | None) -> Iterator[Server]:
    """The server of this name, which begins with an empty Redis. The Redis counts among its processes."""
    kind = KINDS[name]
    redis.empty()
    with own_folder() as folder:
        port = free_port()
        command = kind.command(APPLICATION, port, folder)
        if kind.command in (towpath, towpath_compiled):
            command += ["--redis", redis.url, "--workers", str(kind.workers)]
        environment = {"BENCH_LAYER": kind.layer, "BENCH_REDIS": redis.url} | profiler(profile)
        with started(command, port, folder, environment) as server:
            if kind.command in (towpath, towpath_compiled):
                wait_for_workers(folder, kind.workers)
            server.others[redis.pid] = "redis"
            yield server
