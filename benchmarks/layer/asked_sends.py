"""Sends to a group that the application makes when it is asked to: how long each call takes, and what it costs in Redis."""

from __future__ import annotations

import asyncio
import json

from benchmarks.figures import Sample, quantile
from benchmarks.layer.group_load import Group, group_of
from benchmarks.layer.monitor import Monitor, frequent
from benchmarks.servers import Server
from benchmarks.turns import CpuMeter, LoadFailed

ANSWER_DEADLINE_S = 60.0
PAUSE_S = 0.005  #: between two sends: calls are timed here, and not how much a layer takes
MEMBERS_PAUSE_S = 0.025  #: where each send has many members to reach, so that no layer is full


async def from_a_thread(server: Server, sends: int) -> Sample:
    """`async_to_sync(group_send)` in two kinds of threads. One member checks that each message comes."""
    async with group_of(server, 1) as group:
        meter = CpuMeter(server)
        own = sorted(await ask(server, group, "thread", sends, PAUSE_S))
        kept = sorted(await ask(server, group, "to_thread", sends, PAUSE_S))
        cpu_us = meter.us_per(2 * sends)
    return Sample(
        {
            "p50 ms": quantile(own, 0.5) / 1e6,
            "p99 ms": quantile(own, 0.99) / 1e6,
            "p50 ms, to_thread": quantile(kept, 0.5) / 1e6,
            "p99 ms, to_thread": quantile(kept, 0.99) / 1e6,
        },
        cpu_us,
    )


async def commands(server: Server, redis_path: str, sends: int, members: int) -> Sample:
    """Commands in Redis for each send, with those that deliver it.

    Kinds that come less often than for every other send are left out: they are those of leases, of idle reads, and of the request.
    """
    async with group_of(server, members) as group:
        await ask(server, group, "loop", 1, 0.0)
        with Monitor(redis_path) as monitor:
            meter = CpuMeter(server)
            await ask(server, group, "loop", sends, MEMBERS_PAUSE_S)
            cpu_us = meter.us_per(sends)
    return Sample(
        {
            "commands": frequent(monitor.commands, sends // 2) / sends,
            "run by scripts": frequent(monitor.by_scripts, sends // 2) / sends,
        },
        cpu_us,
    )


async def ask(server: Server, group: Group, how: str, sends: int, pause_s: float) -> list[int]:
    """Let the application send, until each member has each message. Returns the nanoseconds of each call."""
    for number in range(sends):
        group.expect(0, number)
    head = f"GET /?how={how}&sends={sends}&pause={pause_s} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    async with asyncio.timeout(ANSWER_DEADLINE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(head.encode())
        answer = await reader.read()
        writer.close()
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise LoadFailed(f"not the status 200: {answer[:200]!r}")
    took_ns: list[int] = json.loads(answer.partition(b"\r\n\r\n")[2])
    await group.all_delivered()
    return took_ns
