"""Clients of the chat that come and stay while an operator changes what serves them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Iterator

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

PAUSE_S = 0.5  #: between two requests of one client
IN_A_ROOM = 4  #: sockets
DEADLINE_S = 60.0  #: within which each request is answered, and each socket's message comes back
CONNECTING_AT_ONCE = 20


class Load:
    """Clients on an event loop in a thread of its own."""

    def __init__(self, address: str) -> None:
        self.answered = 0
        self.failed_requests: list[str] = []
        self.closed_sockets: list[str] = []
        self._address = address
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._tasks: list[asyncio.Task[None]] = []
        self._sockets: list[ClientConnection] = []
        self._came: dict[int, set[str]] = {}
        self._thread.start()

    def start(self, requesting: int, connected: int) -> None:
        """Connect all sockets, and begin with the requests."""
        self._wait(self._start(requesting, connected))

    def go_on(self, text: str) -> None:
        """Return when each socket has had a message back, which it sends again until then, and each client an answer."""
        self._wait(self._go_on(text))

    def end(self) -> None:
        """End all clients."""
        self._wait(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _wait(self, work: object) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(3 * DEADLINE_S)  # type: ignore[arg-type]

    async def _start(self, requesting: int, connected: int) -> None:
        gate = asyncio.Semaphore(CONNECTING_AT_ONCE)

        async def join(number: int) -> ClientConnection:
            name = f"n{number}"
            query = f"room=lock-{number // IN_A_ROOM}&name={name}&secret={name}-0123456789abcdef"
            async with gate:
                return await connect(f"ws://{self._address}/socket?{query}", proxy=None, ping_interval=None)

        self._sockets = list(await asyncio.gather(*map(join, range(connected))))
        self._came = {number: set() for number in range(connected)}
        self._tasks = [self._loop.create_task(self._listen(number)) for number in range(connected)]
        self._tasks += [self._loop.create_task(self._request()) for _ in range(requesting)]

    async def _listen(self, number: int) -> None:
        try:
            while True:
                event = json.loads(await self._sockets[number].recv())
                self._came[number].add(event.get("text", ""))
        except ConnectionClosed as closed:
            self.closed_sockets.append(f"{number}: {closed}")

    async def _request(self) -> None:
        async with httpx.AsyncClient(timeout=DEADLINE_S, trust_env=False) as client:
            while True:
                try:
                    response = await client.get(f"http://{self._address}/")
                    if response.status_code != httpx.codes.OK:
                        self.failed_requests.append(f"{response.status_code} {response.text[:100]}")
                except httpx.HTTPError as error:
                    self.failed_requests.append(f"{type(error).__name__}: {error}")
                self.answered += 1
                await asyncio.sleep(PAUSE_S)

    async def _go_on(self, text: str) -> None:
        answered = self.answered
        end = time.monotonic() + DEADLINE_S
        missing = set(self._came)
        while missing and not self.closed_sockets:
            for number in missing:
                with contextlib.suppress(ConnectionClosed):
                    await self._sockets[number].send(json.dumps({"kind": "say", "text": f"{text} {number}", "ref": 1}))
            await asyncio.sleep(1.0)
            missing = {number for number in missing if f"{text} {number}" not in self._came[number]}
            assert time.monotonic() < end, f"{text}: no message comes to {len(missing)} sockets"
        while self.answered < answered + 200:
            assert time.monotonic() < end, f"{text}: no request is answered"
            await asyncio.sleep(0.1)

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(each.close() for each in self._sockets), return_exceptions=True)


@contextlib.contextmanager
def load(address: str, *, requesting: int, connected: int) -> Iterator[Load]:
    """Clients of the chat at `address`: so many that send requests, and so many that hold a socket."""
    clients = Load(address)
    try:
        clients.start(requesting, connected)
        yield clients
    finally:
        clients.end()
