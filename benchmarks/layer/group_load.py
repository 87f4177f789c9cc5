"""A group under load: its members are WebSockets of this process, which check that each message comes once and in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from benchmarks.figures import Sample, quantile
from benchmarks.servers import Server
from benchmarks.turns import CpuMeter, LoadFailed, Tally, end_all, hold
from benchmarks.websocket_load import HANDSHAKES_AT_ONCE, PING, PONG, client_frame, shake_hands

TEXT = 0x81
TEXT_LENGTH = 64
LAST_DELIVERY_DEADLINE_S = 20.0


class Group:
    """All members, and the messages that were sent to them. The text of each message is a number."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.members: list[asyncio.Transport] = []
        self.frames: list[bytes] = []  #: what each member has to get
        self.due_ns: list[int] = []  #: when each was sent, or should have been
        self.missing: list[int] = []  #: how many members have not got it yet
        self.again = False  #: the next message is sent when one has reached all

    def expect(self, due_ns: int, number: int) -> bytes:
        """The text of one message more, which has this number."""
        text = f"{number:0{TEXT_LENGTH}d}".encode()
        self.frames.append(bytes((TEXT, TEXT_LENGTH)) + text)
        self.due_ns.append(due_ns)
        self.missing.append(len(self.members))
        return text

    def say(self, due_ns: int) -> None:
        """The first member sends a message to all."""
        self.members[0].write(client_frame(TEXT, self.expect(due_ns, len(self.frames))))

    def delivered(self, number: int) -> None:
        self.tally.answers += 1
        self.missing[number] -= 1
        if not self.missing[number]:
            now = time.perf_counter_ns()
            self.tally.latencies_ns.append(now - self.due_ns[number])
            if self.again and self.tally.running:
                self.say(now)

    async def all_delivered(self) -> None:
        """Returns when every member has every message. Raises LoadFailed at the deadline, or for a wrong one."""
        end_s = time.monotonic() + LAST_DELIVERY_DEADLINE_S
        while any(self.missing) and self.tally.failure is None:
            if time.monotonic() > end_s:
                raise LoadFailed(f"{sum(self.missing)} deliveries are missing after {LAST_DELIVERY_DEADLINE_S:.0f} s")
            await asyncio.sleep(0.002)
        if self.tally.failure is not None:
            raise LoadFailed(self.tally.failure)


class Member(asyncio.Protocol):
    """One of the group. It answers pings, which servers send after a while."""

    __slots__ = ("group", "partial", "times", "transport")

    def __init__(self, group: Group) -> None:
        self.group, self.times, self.partial = group, 0, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        number, frames = self.times, self.group.frames
        if number < len(frames) and data == frames[number] and not self.partial:  # nearly always
            self.times = number + 1
            self.group.delivered(number)
            return
        if self.partial:
            data, self.partial = self.partial + data, b""
        begin, size = 0, len(data)
        while size - begin >= 2 and size - begin >= (length := 2 + data[begin + 1]):
            self.take(data[begin : begin + length])
            begin += length
        self.partial = data[begin:]

    def take(self, frame: bytes) -> None:
        """One whole frame: the next message, or a ping."""
        number, frames = self.times, self.group.frames
        if number < len(frames) and frame == frames[number]:
            self.times += 1
            self.group.delivered(number)
        elif frame[0] == PING:
            self.transport.write(client_frame(PONG, frame[2:]))
        else:
            self.fail(f"a member was sent {frame!r} as its message {number}")

    def connection_lost(self, error: Exception | None) -> None:
        if self.group.tally.running:
            self.fail(f"the server closed a member's socket: {error}")

    def fail(self, why: str) -> None:
        self.group.tally.failure = self.group.tally.failure or why


@asynccontextmanager
async def group_of(server: Server, sockets: int) -> AsyncIterator[Group]:
    """A group with so many members, all of which have joined."""
    loop, group, left = asyncio.get_running_loop(), Group(Tally()), iter(range(sockets))

    async def open_some() -> None:
        for _ in left:
            connection = await shake_hands(server.port)
            group.members.append((await loop.create_connection(lambda: Member(group), sock=connection))[0])

    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(sockets, HANDSHAKES_AT_ONCE)):
                tasks.create_task(open_some())
        yield group
    finally:
        await end_all(group.tally, group.members)


async def flood(server: Server, seconds: float, sockets: int, in_flight: int) -> Sample:
    """Deliveries, with `in_flight` messages under way at all times; latencies are those until the last member has it."""
    async with group_of(server, sockets) as group:
        group.again = True
        for _ in range(in_flight):
            group.say(time.perf_counter_ns())
        return await hold(server, group.tally, seconds)


async def trickle(server: Server, seconds: float, sockets: int, per_second: int) -> Sample:
    """Messages at a steady rate: how long after it was due each one has reached the last member."""
    async with group_of(server, sockets) as group:
        warm_up = per_second
        for _ in range(warm_up):
            group.say(time.perf_counter_ns())
            await asyncio.sleep(1 / per_second)
        await group.all_delivered()
        group.tally.latencies_ns.clear()
        meter, began_ns = CpuMeter(server), time.perf_counter_ns()
        sends = round(seconds * per_second)
        for number in range(sends):
            due_ns = began_ns + number * 1_000_000_000 // per_second
            await asyncio.sleep(max(0.0, (due_ns - time.perf_counter_ns()) / 1e9))
            group.say(due_ns)
        await group.all_delivered()
        ordered = sorted(group.tally.latencies_ns)
        figures = {f"p{share * 100:g} ms": quantile(ordered, share) / 1e6 for share in (0.5, 0.99)}
        return Sample({"p99 ms": figures["p99 ms"], "p50 ms": figures["p50 ms"]}, meter.us_per(sends * sockets))
