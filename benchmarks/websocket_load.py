"""WebSockets under load: many that echo, many that hear what one says, and very many that do nothing. RFC 6455, frames built by hand.

All messages are binary and shorter than 126 bytes, all frames of the client carry the same mask: what a server has to
do for a frame does not depend on it.
"""

from __future__ import annotations

import asyncio
import socket
import time
from typing import cast

from benchmarks.figures import Sample
from benchmarks.servers import Server
from benchmarks.turns import Answer, CpuMeter, LoadFailed, Tally, Turns, end_all, hold

HANDSHAKE_DEADLINE_S = 30.0  #: the port may be open before a worker can run the application
HANDSHAKES_AT_ONCE = 32  #: fewer than any server's backlog
WARM_SOCKETS = 200  #: idle sockets that are there before memory is first looked at
SETTLE_S = 1.0

HANDSHAKE = (
    "GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: towpath-bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIGJlbmNoIGlzIG9uIQ==\r\n\r\n"
)
MASK = b"\x5a\x0f\xc3\x99"
PING, PONG, BINARY = 0x89, 0x8A, 0x82


def client_frame(first: int, payload: bytes) -> bytes:
    masked = bytes(byte ^ MASK[index % 4] for index, byte in enumerate(payload))
    return bytes((first, 0x80 | len(payload))) + MASK + masked


class Socket(asyncio.Protocol):
    """One idle socket: it answers pings, and nothing else may come."""

    def __init__(self, tally: Tally) -> None:
        self.tally, self.partial = tally, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        data = self.partial + data
        while len(data) >= 2 and data[0] == PING and len(data) >= 2 + data[1]:
            end = 2 + data[1]
            self.transport.write(client_frame(PONG, data[2:end]))
            data = data[end:]
        self.partial = data
        if data and data[0] != PING:
            self.tally.failure = self.tally.failure or f"an idle socket was sent {data[:100]!r}"

    def connection_lost(self, error: Exception | None) -> None:
        if self.tally.running:
            self.tally.failure = self.tally.failure or f"the server closed an idle socket: {error}"


async def shake_hands(port: int, target: str = "/") -> socket.socket:
    """A socket of an accepted WebSocket, with nothing read beyond the head."""
    loop, connection = asyncio.get_running_loop(), socket.socket()
    connection.setblocking(False)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        async with asyncio.timeout(HANDSHAKE_DEADLINE_S):
            await loop.sock_connect(connection, ("127.0.0.1", port))
            await loop.sock_sendall(connection, HANDSHAKE.format(target).encode())
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                part = await loop.sock_recv(connection, 4096)
                head += part
                if not part or (b"\r\n" in head and not head.startswith(b"HTTP/1.1 101 ")):
                    raise LoadFailed(f"no handshake: {head[:200]!r}")
    except BaseException:
        connection.close()
        raise
    return connection


async def echo(server: Server, seconds: float, sockets: int, size_bytes: int) -> Sample:
    """`sockets` clients that each send `size_bytes` and wait until they are back; every echo must be the same bytes."""
    payload = bytes(range(size_bytes))
    frame = bytes((BINARY, size_bytes)) + payload
    question, answer, tally = client_frame(BINARY, payload), Answer(len(frame), frame, b""), Tally()
    loop, transports = asyncio.get_running_loop(), []
    try:
        for connection in [await shake_hands(server.port) for _ in range(sockets)]:
            made = await loop.create_connection(lambda: Turns(tally, question, answer), sock=connection)
            transports.append(made[0])
        return await hold(server, tally, seconds)
    finally:
        await end_all(tally, transports)


class Crowd:
    """All clients that receive what one of them sends; it sends again when the last one has received it."""

    def __init__(self, tally: Tally, payload: bytes) -> None:
        self.tally, self.said, self.heard = (
            tally,
            client_frame(BINARY, payload),
            bytes((BINARY, len(payload))) + payload,
        )
        self.members: list[asyncio.Transport] = []
        self.times = self.missing = 0

    def say(self) -> None:
        self.times += 1
        self.missing, self.said_ns = len(self.members), time.perf_counter_ns()
        self.members[0].write(self.said)

    def delivered(self) -> None:
        self.tally.answers += 1
        self.missing -= 1
        if not self.missing:
            self.tally.latencies_ns.append(time.perf_counter_ns() - self.said_ns)
            if self.tally.running:
                self.say()


class Member(asyncio.Protocol):
    """One of a crowd."""

    def __init__(self, crowd: Crowd) -> None:
        self.crowd, self.times = crowd, 0

    def data_received(self, data: bytes) -> None:
        self.times += 1
        if data == self.crowd.heard and self.times == self.crowd.times:
            self.crowd.delivered()
        else:
            self.fail(f"at message {self.crowd.times} a member was sent {data[:200]!r} as its {self.times}th")

    def connection_lost(self, error: Exception | None) -> None:
        if self.crowd.tally.running:
            self.fail(f"the server closed a member's socket: {error}")

    def fail(self, why: str) -> None:
        self.crowd.tally.failure = self.crowd.tally.failure or why


async def broadcast(server: Server, seconds: float, sockets: int, size_bytes: int) -> Sample:
    """Deliveries of one message after the other to `sockets` clients; latencies are those until the last one has it."""
    loop, tally = asyncio.get_running_loop(), Tally()
    crowd = Crowd(tally, bytes(range(size_bytes)))
    try:
        for connection in [await shake_hands(server.port) for _ in range(sockets)]:
            crowd.members.append((await loop.create_connection(lambda: Member(crowd), sock=connection))[0])
        crowd.say()
        return await hold(server, tally, seconds)
    finally:
        await end_all(tally, crowd.members)


async def idle(server: Server, sockets: int) -> Sample:
    """What each of `sockets` idle sockets costs in resident memory, in every process of the server."""
    tally, transports = Tally(), list[asyncio.Transport]()
    try:
        await open_idle(server.port, WARM_SOCKETS, tally, transports)
        before, meter = await settled_rss_kib(server), CpuMeter(server)
        await open_idle(server.port, sockets, tally, transports)
        cpu_us = meter.us_per(sockets)
        after = await settled_rss_kib(server)
        if tally.failure is not None:
            raise LoadFailed(tally.failure)
    finally:
        await end_all(tally, transports)
    each = {f"KiB {part}": (after[part] - before[part]) / sockets for part in after}
    return Sample({"KiB all": sum(each.values())} | each, cpu_us)


async def open_idle(port: int, sockets: int, tally: Tally, transports: list[asyncio.Transport]) -> None:
    loop, left = asyncio.get_running_loop(), iter(range(sockets))

    async def open_some() -> None:
        for _ in left:
            connection = await shake_hands(port)
            transports.append((await loop.create_connection(lambda: Socket(tally), sock=connection))[0])

    async with asyncio.TaskGroup() as group:
        for _ in range(min(sockets, HANDSHAKES_AT_ONCE)):
            group.create_task(open_some())


async def settled_rss_kib(server: Server) -> dict[str, float]:
    """Resident memory once the work of the handshakes has been put away."""
    await asyncio.sleep(SETTLE_S)
    server.look()
    return server.rss_kib()
