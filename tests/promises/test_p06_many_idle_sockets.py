"""P6: ten thousand quiet sockets at one interface server notice nothing of a worker that loops."""

from __future__ import annotations

import asyncio
import random
import resource
import warnings
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from tests.promises.conftest import PROJECT, Traces
from tests.promises.fleet import leases_at
from tests.support.facts import until
from tests.support.serving import Server, towpath_interface, towpath_worker

SOCKETS = 10_000  #: they take four seconds to open
BESIDE = 500  #: descriptors that a process has besides
AT_ONCE = 300
SAMPLE = 200
QUESTIONS = 100
OPEN_S_MAX = 90.0
HANDSHAKE = (
    b"GET /idle HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
PING, PONG = b"\x89\x00", b"\x8a\x80\x00\x00\x00\x00"
MASKED_BY_NOTHING = b"\x81\x85\x00\x00\x00\x00"


class Idle(asyncio.Protocol):
    """A WebSocket that is opened and does nothing but answer pings; what else comes is kept."""

    def __init__(self) -> None:
        self.opened = asyncio.get_running_loop().create_future()
        self.heard = b""
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport
        transport.write(HANDSHAKE)

    def data_received(self, data: bytes) -> None:
        if data == PING:
            self.transport.write(PONG)
            return
        self.heard += data
        head, end, rest = self.heard.partition(b"\r\n\r\n")
        if end and not self.opened.done():
            self.heard = rest
            self.opened.set_result(head.startswith(b"HTTP/1.1 101 "))

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if not self.opened.done():
            self.opened.set_result(False)


def room_for_sockets() -> int:
    """As many as this process may hold, and those whom it starts; that they are fewer is told by name."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = SOCKETS if hard == resource.RLIM_INFINITY else min(SOCKETS, hard - BESIDE)
    if count < SOCKETS:
        warnings.warn(f"{count} sockets, not {SOCKETS}: the hard limit of file descriptors is {hard}", stacklevel=2)
    return count


async def opened(server: Server, count: int) -> list[Idle]:
    loop, gate = asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE)

    async def one() -> Idle:
        async with gate:
            _, idle = await loop.create_connection(Idle, server.host, server.port)
            assert await idle.opened, idle.heard
            return idle

    async with asyncio.timeout(OPEN_S_MAX):
        return list(await asyncio.gather(*(one() for _ in range(count))))


async def test_nobody_loses_a_socket_while_one_worker_loops_and_the_other_answers(
    tmp_path: Path, url: str, traces: Traces
) -> None:
    """P5, P6. None is closed, polite requests are answered by the other worker, and afterwards sockets of both echo."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    idle: list[Idle] = []
    try:
        count = room_for_sockets()
        with ExitStack() as stack:
            workers = [stack.enter_context(worker(url, tmp_path / name, traces)) for name in ("one", "two")]
            server = stack.enter_context(
                towpath_interface(url, run_dir=tmp_path / "interface", options=("--no-access-log",))
            )
            stack.callback(lambda: [each.transport.abort() for each in idle])
            idle += await opened(server, count)
            await one_loops(server, workers, traces, idle)
            held = [lease["websockets"] for lease in leases_at(url) if lease["role"] == "worker"]
            assert min(held) > count / 4, held
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def worker(url: str, run_dir: Path, traces: Traces) -> AbstractContextManager[Server]:
    return towpath_worker("hostile_clients", url, app_dir=PROJECT, run_dir=run_dir, env=traces.env)


async def one_loops(server: Server, workers: list[Server], traces: Traces, idle: list[Idle]) -> None:
    """From the request that blocks a worker to the echoes of those who asked meanwhile."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(b"GET /hold_up HTTP/1.1\r\nHost: x\r\n\r\n")
    await until(lambda: traces.lines("blocking"), "one worker loops")
    (looping,) = traces.lines("blocking")
    await until(lambda: any("has been blocked for" in each.log for each in workers), "for seconds")
    assert await answered_by(server) == {str(each.process.pid) for each in workers} - {looping}
    assert not [each for each in idle if each.lost or each.heard]
    asked = random.Random(7).sample(idle, SAMPLE)
    for each in asked:
        each.transport.write(MASKED_BY_NOTHING + b"still")
    (traces.folder / "unblock").touch()
    await until(lambda: all(each.heard == b"\x81\x05still" for each in asked), "they echo")
    assert (await reader.readuntil(b"unblocked")).startswith(b"HTTP/1.1 200 ")
    assert not [each for each in idle if each.lost]
    assert all(each.process.poll() is None for each in workers)
    writer.close()


async def answered_by(server: Server) -> set[str]:
    """Who answers a polite client's questions, one after another."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    found = set()
    for _ in range(QUESTIONS):
        writer.write(b"GET /pid HTTP/1.1\r\nHost: x\r\n\r\n")
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        assert head.startswith(b"HTTP/1.1 200 ")
        found.add((await reader.readexactly(length)).decode())
    writer.close()
    return found
