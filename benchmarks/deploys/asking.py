"""HTTP clients in a closed loop, GET and POST by turns, and what became of every request.

Each client keeps its connection as browsers do, and makes a new one when it was closed between two requests: that is no
failure. Whatever is asked and not answered with 200 and with its own name is one, and is counted by what was seen.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import cast

HANG_S = 20.0  #: no request and no echo may take longer, whatever happens: it counts as hanging
THINK_S = (0.05, 0.1)  #: between two requests of one client
METHODS = ("GET", "POST")
BODY = b"x" * 64


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that was not answered as it should be."""

    method: str
    name: str
    seen: str  #: a status, or: refused, reset (nothing came), cut (a part came), wrong, hanging
    began_s: float
    ended_s: float


@dataclass
class Answers:
    """What all clients have seen so far."""

    failures: list[Failure] = field(default_factory=list)
    posted: set[str] = field(default_factory=set)  #: names of the POSTs that were answered with 200
    latencies_ns: list[int] = field(default_factory=list)  #: of all that were answered with 200


class Exchange(asyncio.Protocol):
    """One kept connection: a question, its answer, the next question."""

    def __init__(self) -> None:
        self.received = b""
        self.answered: asyncio.Future[str] | None = None
        self.usable = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    async def ask(self, request: bytes, expected: bytes) -> str:
        """What was seen: `200` with the right body, or what a failure is called by."""
        self.received, self.expected = b"", expected
        self.answered = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        try:
            async with asyncio.timeout(HANG_S):
                return await self.answered
        except TimeoutError:
            self.usable = False
            return "hanging"
        finally:
            self.answered = None

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, end, body = self.received.partition(b"\r\n\r\n")
        if not end or self.answered is None or self.answered.done():
            return
        fields = head.lower()
        size = next((int(line[15:]) for line in fields.split(b"\r\n") if line.startswith(b"content-length:")), None)
        if size is None or len(body) < size:
            return
        self.usable = self.usable and b"connection: close" not in fields
        status = head[9:12].decode()
        self.answered.set_result("wrong" if status == "200" and body != self.expected else status)

    def connection_lost(self, error: Exception | None) -> None:
        self.usable = False
        if self.answered is not None and not self.answered.done():
            self.answered.set_result("cut" if self.received else "reset")


class Asking:
    """So many clients. `begin`, then `finish`, then read `answers`."""

    def __init__(self, port: int, clients: int, random: Random) -> None:
        self.answers = Answers()
        self._port, self._clients, self._random = port, clients, random
        self._over = False
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self) -> None:
        self._tasks = [asyncio.create_task(self._client(number)) for number in range(self._clients)]

    async def finish(self) -> None:
        """Send no more requests; those that are under way end, or hang."""
        self._over = True
        await asyncio.gather(*self._tasks)

    def cancel(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _client(self, number: int) -> None:
        exchange: Exchange | None = None
        try:
            for method, name in names(number):
                await asyncio.sleep(self._random.uniform(*THINK_S))
                if self._over:
                    return
                exchange = await self._one(exchange, method, name)
        finally:
            if exchange is not None:
                exchange.transport.abort()

    async def _one(self, exchange: Exchange | None, method: str, name: str) -> Exchange | None:
        """Ask once. The connection, for the next time."""
        began_s = time.monotonic()
        if exchange is None or not exchange.usable:
            if exchange is not None:
                exchange.transport.abort()
            try:
                exchange = await self._connect()
            except (OSError, TimeoutError):
                self.answers.failures.append(Failure(method, name, "refused", began_s, time.monotonic()))
                return None
        seen = await exchange.ask(request(method, name), name.encode())
        ended_s = time.monotonic()
        if seen != "200":
            self.answers.failures.append(Failure(method, name, seen, began_s, ended_s))
            return exchange
        self.answers.latencies_ns.append(int((ended_s - began_s) * 1e9))
        if method == "POST":
            self.answers.posted.add(name)
        return exchange

    async def _connect(self) -> Exchange:
        async with asyncio.timeout(HANG_S):
            made = await asyncio.get_running_loop().create_connection(Exchange, "127.0.0.1", self._port)
        return made[1]


def names(client: int) -> Iterator[tuple[str, str]]:
    """What a client asks, without end; every other client begins with a POST."""
    number = client
    while True:
        yield METHODS[number % 2], f"{client}-{number}"
        number += 1


def request(method: str, name: str) -> bytes:
    body = BODY if method == "POST" else b""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{method} /{name} HTTP/1.1\r\nHost: 127.0.0.1\r\n{length}\r\n".encode() + body
