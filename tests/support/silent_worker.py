"""A worker that invites and reads nothing, beside one that works: what it was sent directly has not begun."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from redis import Redis

from channel_layer.process import local_process
from channel_layer.protocol import packets
from channel_layer.protocol.codec import batch_head, join_batch, pack, unpack_batch
from channel_layer.protocol.packets import Cancel
from channel_layer.settings import RedisSettings
from interface_server.connections.dispatcher import Dispatcher as InterfaceDispatcher
from tests.support.both_dispatchers import Recorded, RecordedHost, interface, invited, knock, respond, worker
from tests.support.facts import until


class SilentWorker:
    """A worker that invites and reads nothing, as if its application kept the event loop: its inbox and its lease, made by hand."""

    def __init__(
        self, redis: Redis, settings: RedisSettings, server: InterfaceDispatcher, facts: Mapping[str, Any]
    ) -> None:
        """facts: of its process, for its lease."""
        self.name = "worker.5117e5117e51"
        self._redis = redis
        self._server = server
        self._inbox = f"{settings.prefix}inbox:{self.name}"
        self._prefix = settings.prefix
        redis.set(f"{settings.prefix}node:{self.name}", pack({"role": "worker", **facts}), px=60_000)
        redis.xadd(self._inbox, {"b": join_batch(batch_head("interface.0"), [pack(packets.cancel(0, 0, Cancel.LEFT))])})
        self.say(packets.invite(8, 0))

    def say(self, packet: packets.Packet) -> None:
        """Send one packet to the interface server."""
        batch = join_batch(batch_head(self.name), [pack(packet)])
        self._redis.xadd(f"{self._prefix}inbox:{self._server.name}", {"b": batch})

    def heard(self) -> list[list[Any]]:
        """All packets in its inbox."""
        entries = self._redis.xrange(self._inbox)
        return [packet for _, fields in entries for packet in unpack_batch(fields[b"b"])[1]]


@asynccontextmanager
async def beside_a_silent_worker(
    settings: RedisSettings, redis: Redis, facts: Mapping[str, Any] | None = None
) -> AsyncIterator[tuple[InterfaceDispatcher, SilentWorker]]:
    """An interface server that a worker and a silent one have invited. facts: of the silent one's process."""
    host = RecordedHost(play=respond)
    async with interface(settings) as server, worker(settings, host) as one:
        await invited(server, one)
        silent = SilentWorker(redis, settings, server, facts or {})
        await until(lambda: silent.name in server.direct.workers.by_name)
        yield server, silent


@asynccontextmanager
async def posts_to_a_silent_worker(
    settings: RedisSettings, redis: Redis, facts: Mapping[str, Any]
) -> AsyncIterator[tuple[InterfaceDispatcher, SilentWorker, Recorded]]:
    """One of two POSTs went to a worker that does not acknowledge it; it is the last of these, and the other is answered."""
    async with beside_a_silent_worker(settings, redis, facts) as (server, silent):
        clients = [knock(server, method="POST") for _ in range(2)]
        await until(lambda: sum(client.body == b"hello" for client in clients) == 1, "the other is answered")
        (unanswered,) = (client for client in clients if not client.events)
        assert unanswered.upstream.connection.owner == silent.name
        yield server, silent, unanswered


@contextmanager
def process_to_kill() -> Iterator[tuple[subprocess.Popen[bytes], dict[str, Any]]]:
    """A process that does nothing, and what a lease says of it."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        try:
            yield process, {**local_process.identity(), "pid": process.pid, "born": local_process.born(process.pid)}
        finally:
            process.kill()
