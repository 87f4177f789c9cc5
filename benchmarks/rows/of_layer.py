"""The rows that compare channel layers: groups of WebSockets, a shared channel, blocking sends."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import uvloop

from benchmarks.figures import Goal, Sample, best_ratio, own, ratio
from benchmarks.layer import asked_sends, group_load
from benchmarks.layer.servers import running
from benchmarks.rows.row import RATE, Load, Row, Take, Terms
from benchmarks.servers import COMPILED, ServerFailed, profiler

CHANNELS_REDIS = ("uvicorn-core", "uvicorn-pubsub", "daphne-core", "daphne-pubsub")
GROUPS = ("towpath", COMPILED, "towpath-consumer", "towpath-consumer-2", *CHANNELS_REDIS)
DEADLINE_S = 60.0
BEST = "× the best of channels_redis under uvicorn and Daphne"


def served(load: Load) -> Take:
    """A server with a layer, under `load` from this process."""

    def take(contestant: str, terms: Terms) -> Sample:
        async def loaded() -> Sample:
            return await load(server, terms.size)

        with running(contestant, terms.redis, terms.profile) as server:
            return uvloop.run(loaded())

    return take


def monitored(contestant: str, terms: Terms) -> Sample:
    """The commands of a server with a layer, in a group that this process sends nothing to."""
    with running(contestant, terms.redis, terms.profile) as server:
        path = terms.redis.url.removeprefix("unix://")
        return uvloop.run(asked_sends.commands(server, path, 100, min(50, terms.size.sockets)))


def alone(module: str, *arguments: object) -> Take:
    """A process that runs this module of the bench, and prints the sample that it took."""

    def take(contestant: str, terms: Terms) -> Sample:
        terms.redis.empty()
        values = [contestant, terms.redis.url, terms.redis.pid, terms.size.seconds, *arguments]
        command = [sys.executable, "-m", f"benchmarks.layer.{module}", *map(str, values)]
        environment = os.environ | profiler(terms.profile)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        if done.returncode:
            raise ServerFailed(
                f"the process of {contestant} ended with {done.returncode}\n{done.stderr[-2000:].strip()}"
            )
        return Sample(**json.loads(done.stdout))

    return take


def group(name: str, sockets: int, in_flight: int, rounds_max: int | None = None, note: str = "") -> Row:
    return Row(
        name, f"A group of {sockets:,} WebSockets, 64 bytes, {in_flight} messages in flight{note}", "delivery", RATE,
        served(lambda server, size: group_load.flood(server, size.seconds, min(sockets, size.sockets), in_flight)),
        (
            Goal(f"{BEST}, reply channels", best_ratio(RATE, CHANNELS_REDIS), 14),
            Goal(f"{BEST}, reply channels, {COMPILED}", best_ratio(RATE, CHANNELS_REDIS, COMPILED), 14),
            Goal(f"{BEST}, a Channels consumer", best_ratio(RATE, CHANNELS_REDIS, "towpath-consumer"), 0.9),
            Goal(f"{BEST}, a Channels consumer in two workers", best_ratio(RATE, CHANNELS_REDIS, "towpath-consumer-2"), 1.5),
        ),
        GROUPS, "uvicorn-pubsub", rounds_max,
    )  # fmt: skip


ROWS = (
    Row(
        "shared-channel", "A shared channel from one process to another, 32 small messages in flight, 32 calls of `receive`",
        "message", RATE, alone("shared_channel", 32, 32),
        (Goal("× channels_redis core", ratio(RATE, "core"), 5),),
        ("towpath", "core"), "core",
    ),
    Row(
        "shared-channel-loop", "The same, received in one loop", "message", RATE, alone("shared_channel", 32, 1), (),
        ("towpath", "core"), "core",
    ),
    group("group", 200, 4),
    group("group-1000", 1_000, 2, 2, " (two rounds)"),
    Row(
        "group-latency", "20 messages a second to a group of 1,000 WebSockets, until the last has each", "delivery", "p99 ms",
        served(lambda server, size: group_load.trickle(server, 2 * size.seconds, min(1_000, size.sockets), 20)),
        (Goal("ms of p99", own("p99 ms"), 40, lower_is_better=True),),
        ("towpath",), "towpath",
    ),
    Row(
        "group-commands", "Commands in Redis for one message to a group of 50 WebSockets (one round)", "message", "commands",
        monitored,
        (Goal("commands", own("commands"), 1, lower_is_better=True),),
        ("towpath", "uvicorn-core", "uvicorn-pubsub"), "uvicorn-pubsub", 1,
    ),
    Row(
        "thread", "`async_to_sync(group_send)` in a thread of an application", "call", "p50 ms",
        served(lambda server, size: asked_sends.from_a_thread(server, min(100, round(100 * size.seconds)))),
        (
            Goal("ms of p50, a thread of its own", own("p50 ms"), 2, lower_is_better=True),
            Goal("ms of p50, asyncio.to_thread", own("p50 ms, to_thread"), 2, lower_is_better=True),
        ),
        ("towpath", "uvicorn-core", "uvicorn-pubsub"), "uvicorn-core",
    ),
    Row(
        "blocking", "Sends of synchronous code, one thread, no event loop, to a shared channel", "message", RATE,
        alone("blocking_sends"),
        (Goal("× async_to_sync(channels_redis send)", ratio(RATE, "core"), 20),),
        ("towpath", "core"), "core",
    ),
)  # fmt: skip
