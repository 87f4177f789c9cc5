"""Clients in a closed loop, of each kind that can be hit in another state, and what became of everything that they began."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Coroutine, Sequence
from random import Random
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from tests.chaos import response
from tests.chaos.kept_connection import KeptConnection
from tests.chaos.outcomes import SURVIVES_DEATH, Ending, Exchange, Socket

#: Nothing may take longer: the wait in the queue, twice again, and what is awaited after an unknown outcome.
HUNG_S = 60.0
PAUSE_S = 0.02  #: between two exchanges of one client, and before it connects again
KEPT_PAUSE_S = 0.1  #: so that a kept connection is idle for half of its time
SLOWLY_S = 0.02  #: between two reads of a client that takes its time
SAY_AGAIN_S = 1.0
BEAT_S = 0.05  #: between two messages of an echoing socket

#: For each interface server: method, kind, size of the body, how many clients.
EXCHANGES = (
    ("GET", "quick", 0, 2),
    ("POST", "quick", 10, 2),
    ("POST", "quick", 150_000, 1),
    ("GET", "late", 0, 2),
    ("PUT", "late", 20_000, 1),
    ("POST", "late", 10, 2),
    ("GET", "long", 0, 2),
    ("POST", "long", 10, 1),
    ("GET", "large", 0, 1),
    ("POST", "upload", 700_000, 1),
    ("POST", "tell", 10, 1),
    ("GET", "hold", 0, 2),
    ("POST", "leaver", 10, 1),
)
#: The same of those who keep their connections.
KEEPERS = (
    ("GET", "quick", 0, 1),
    ("POST", "quick", 10, 2),
    ("GET", "late", 0, 1),
    ("POST", "long", 10, 1),
    ("PUT", "quick", 20_000, 1),
)
#: For each interface server: kind, how many that echo all the time, how many that are silent until the end.
SOCKETS = (("plain", 2, 1), ("resumable", 3, 2), ("crash", 3, 2), ("hesitant", 2, 0), ("member", 2, 1))


class Load:
    """All clients of all interface servers. `begin`, then `finish`, then look at what they saw."""

    def __init__(self, ports: Sequence[int], seed: str) -> None:
        self.exchanges: list[Exchange] = []
        self.sockets: list[Socket] = []
        self.interfaces: dict[str, int] = {}  #: at which one each exchange was begun
        self.answered: set[str] = set()  #: exchanges whose first byte has come
        self._ports = ports
        self._seed = seed
        self._names = itertools.count(1)
        self._over = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self) -> None:
        for interface in range(len(self._ports)):
            for method, kind, size_bytes, count in EXCHANGES:
                for _ in range(count):
                    self._own(self._exchanges(interface, method, kind, size_bytes, self._random()))
            self._begin_sockets(interface, SOCKETS)
        for interface in range(len(self._ports)):
            for method, kind, size_bytes, count in KEEPERS:
                for _ in range(count):
                    self._own(self._keeper(interface, method, kind, size_bytes, self._random()))

    def begin_sockets(self, sockets: Sequence[tuple[str, int, int]]) -> None:
        """More of them, at each interface server; they stay like all others."""
        for interface in range(len(self._ports)):
            self._begin_sockets(interface, sockets)

    def _begin_sockets(self, interface: int, sockets: Sequence[tuple[str, int, int]]) -> None:
        for kind, echoing, silent in sockets:
            for number in range(echoing + silent):
                self._own(self._socket_loop(interface, kind, number < echoing, self._random()))

    async def finish(self) -> None:
        """Nobody begins anything any more; whoever is open says one thing more, hears it, and goes."""
        self._over.set()
        await asyncio.gather(*self._tasks)

    async def cancel(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _own(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(coroutine))

    def _random(self) -> Random:
        return Random(f"{self._seed} client {len(self._tasks)}")

    def _name(self, kind: str) -> str:
        return f"{kind}-{next(self._names)}"

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), seconds)

    # Exchanges

    async def _exchanges(self, interface: int, method: str, kind: str, size_bytes: int, random: Random) -> None:
        while not self._over.is_set():
            await self._pause(PAUSE_S * random.random())
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._ports[interface])
            except OSError:
                continue
            name = self._name(kind)
            self.interfaces[name] = interface
            path = f"/{'quick' if kind == 'leaver' else kind}/{name}"
            writer.write(_request(method, path, size_bytes))
            began_s = time.monotonic()
            ending, status, body = await self._outcome(name, kind, reader, random)
            writer.transport.abort()
            seen = (ending, status, body, size_bytes, began_s, time.monotonic())
            self.exchanges.append(Exchange(name, method, kind, interface, *seen))

    async def _outcome(
        self, name: str, kind: str, reader: asyncio.StreamReader, random: Random
    ) -> tuple[Ending, int | None, bytes]:
        received = bytearray()
        try:
            if kind == "leaver":
                await asyncio.wait_for(_read(reader, received), random.uniform(0, 0.02))
            elif kind == "hold":
                async with asyncio.timeout(HUNG_S):
                    await _read(reader, received, until=b"\r\n\r\n")
                await asyncio.wait_for(_read(reader, received), random.uniform(0.1, 1.5))
            else:
                pause_s = SLOWLY_S if kind == "large" else 0.0
                await asyncio.wait_for(self._read_answer(name, reader, received, pause_s), HUNG_S)
        except TimeoutError:
            left = kind == "leaver" or (kind == "hold" and b"\r\n\r\n" in received)
            return (Ending.LEFT if left else Ending.HUNG), *response.read(bytes(received))[1:]
        except OSError:
            if not received:
                return Ending.RESET, None, b""
        return response.read(bytes(received))

    async def _read_answer(self, name: str, reader: asyncio.StreamReader, received: bytearray, pause_s: float) -> None:
        if first := await reader.read(1):
            self.answered.add(name)
            received += first
            await _read(reader, received, pause_s=pause_s)

    async def _keeper(self, interface: int, method: str, kind: str, size_bytes: int, random: Random) -> None:
        connection = KeptConnection(self._ports[interface])
        try:
            while not self._over.is_set():
                await self._pause(KEPT_PAUSE_S * random.random())
                name, began_s = self._name(kind), time.monotonic()
                request = _request(method, f"/{kind}/{name}", size_bytes, keeps=True)
                try:
                    outcome = await asyncio.wait_for(connection.ask(request, method != "POST"), HUNG_S)
                except TimeoutError:
                    outcome = (Ending.HUNG, None, b"")
                except OSError:
                    continue
                seen = (*outcome, size_bytes, began_s, time.monotonic(), connection.reused)
                self.exchanges.append(Exchange(name, method, kind, interface, *seen))
        finally:
            connection.close()

    # Sockets

    async def _socket_loop(self, interface: int, kind: str, echoes: bool, random: Random) -> None:
        while not self._over.is_set():
            await self._pause(PAUSE_S * random.random())
            name = self._name(kind)
            talk = Talk(name, kind, interface, silent=not echoes)
            try:
                url = f"ws://127.0.0.1:{self._ports[interface]}/{kind}/{name}"
                async with asyncio.timeout(HUNG_S):
                    socket = await connect(
                        url, ping_interval=None, open_timeout=None, compression=None, close_timeout=5
                    )
            except ConnectionRefusedError:
                continue
            except InvalidStatus as error:
                self.sockets.append(talk.outcome(Ending.CLOSED, status=error.response.status_code))
                continue
            except TimeoutError:
                self.sockets.append(talk.outcome(Ending.HUNG))
                continue
            except (OSError, EOFError, InvalidHandshake):
                self.sockets.append(talk.outcome(Ending.RESET))
                continue
            self.sockets.append(await self._talk(talk, socket, echoes))

    async def _talk(self, talk: Talk, socket: ClientConnection, echoes: bool) -> Socket:
        listening = asyncio.create_task(talk.listen(socket))
        try:
            while not self._over.is_set() and not listening.done():
                if echoes:
                    await talk.say(socket)
                await self._pause_or(listening, BEAT_S)
            began = said = time.monotonic()
            last = await talk.say(socket)
            while last not in talk.heard and not listening.done():
                now = time.monotonic()
                if now - began > HUNG_S:
                    return talk.outcome(Ending.HUNG)
                if talk.kind in SURVIVES_DEATH and now - said > SAY_AGAIN_S:  # the last word may be lost with a worker
                    last, said = await talk.say(socket), now
                await asyncio.wait([listening], timeout=0.01)
            if not listening.done():
                talk.recovered_s = time.monotonic() - began
                await socket.close()
                return talk.outcome(Ending.WHOLE)
        except ConnectionClosed:
            pass
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            socket.transport.abort()
        return talk.ended_by(socket)

    async def _pause_or(self, listening: asyncio.Task[None], seconds: float) -> None:
        over = asyncio.create_task(self._over.wait())
        await asyncio.wait([over, listening], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        over.cancel()


class Talk:
    """What was said and heard over one WebSocket."""

    def __init__(self, name: str, kind: str, interface: int, silent: bool) -> None:
        self.name = name
        self.kind = kind
        self.interface = interface
        self.silent = silent
        self.sent = 0
        self.greetings = 0
        self.echoes: list[tuple[int, int]] = []
        self.heard: set[int] = set()
        self.strange: list[str] = []
        self.notes: list[str] = []
        self.greeted_s: float | None = None
        self.recovered_s: float | None = None

    async def say(self, socket: ClientConnection) -> int:
        self.sent += 1
        await socket.send(str(self.sent))
        return self.sent

    async def listen(self, socket: ClientConnection) -> None:
        async for message in socket:
            self._hear(str(message).split())

    def _hear(self, words: list[str]) -> None:
        if words == ["hello", self.name]:
            self.greetings += 1
            self.greeted_s = time.monotonic()
        elif len(words) == 2 and words[0] == "note" and self.kind == "member":
            self.notes.append(words[1])
        elif len(words) == 3 and words[0] == self.name and 0 < int(words[1]) <= self.sent:
            self.echoes.append((int(words[1]), int(words[2])))
            self.heard.add(int(words[1]))
        else:
            self.strange.append(" ".join(words))

    def ended_by(self, socket: ClientConnection) -> Socket:
        """The other side ended it."""
        if socket.close_code in (None, 1006):
            return self.outcome(Ending.RESET)
        return self.outcome(Ending.CLOSED, code=socket.close_code)

    def outcome(self, ending: Ending, status: int | None = None, code: int | None = None) -> Socket:
        return Socket(
            self.name,
            self.kind,
            self.interface,
            ending,
            status,
            code,
            self.greetings,
            self.sent,
            tuple(self.echoes),
            tuple(self.strange),
            self.silent,
            tuple(self.notes),
            self.greeted_s,
            time.monotonic(),
            self.recovered_s,
        )


def _request(method: str, path: str, size_bytes: int, keeps: bool = False) -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\n" + ("" if keeps else "Connection: close\r\n")
    length = f"Content-Length: {size_bytes}\r\n" if method != "GET" else ""
    return f"{head}{length}\r\n".encode() + b"x" * size_bytes


async def _read(
    reader: asyncio.StreamReader, received: bytearray, until: bytes | None = None, pause_s: float = 0.0
) -> None:
    while until is None or until not in received:
        await asyncio.sleep(pause_s)
        part = await reader.read(65_536)
        if not part:
            return
        received += part
