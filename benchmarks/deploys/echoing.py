"""WebSockets that number what they say, in step with a clock and not with the echoes: what is lost or doubled shows.

A socket that ends is opened again. Each echo names the process that answered, so a change of worker is seen by the client.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import cast

from benchmarks.deploys.asking import HANG_S
from benchmarks.turns import LoadFailed
from benchmarks.websocket_load import HANDSHAKES_AT_ONCE, PING, PONG, client_frame, shake_hands

TEXT, CLOSE = 0x81, 0x88
PAUSE_S = (0.05, 0.25)  #: before a socket that ended is opened again
LOOK_EVERY_S = 0.01
NO_CODE = 1006  #: the connection ended without a close code


@dataclass
class Echoes:
    """What all sockets of one kind have seen so far."""

    heard: int = 0
    lost: int = 0  #: never came, while a later one did
    doubled: int = 0  #: came again, or after a later one
    hanging: int = 0  #: sockets that neither echoed nor ended within HANG_S
    nonsense: str | None = None  #: a frame that was never sent
    closed: Counter[int] = field(default_factory=Counter)  #: by code
    not_opened: int = 0  #: handshakes that failed
    waits_ns: list[int] = field(default_factory=list)  #: each from its question to its echo
    #: of each change of worker: how long its first echo took, and how long after the last echo before it came
    moves_ns: list[tuple[int, int]] = field(default_factory=list)


class Talk(asyncio.Protocol):
    """One open socket."""

    def __init__(self, echoes: Echoes, every_s: float) -> None:
        self.echoes, self.every_s = echoes, every_s
        self.loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[int] = self.loop.create_future()
        self.said_ns: deque[int] = deque()  #: when each was said that is not back yet
        self.number = self.heard = 0
        self.heard_ns = 0
        self.pid = b""
        self.partial = b""
        self.code = NO_CODE
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def begin(self, after_s: float) -> None:
        self.timer = self.loop.call_later(after_s, self.tick)

    def tick(self) -> None:
        self.say()
        self.timer = self.loop.call_later(self.every_s, self.tick)

    def say(self) -> None:
        self.number += 1
        self.said_ns.append(time.monotonic_ns())
        self.transport.write(client_frame(TEXT, b"%d" % self.number))

    def silence(self) -> None:
        if self.timer is not None:
            self.timer.cancel()

    def data_received(self, data: bytes) -> None:
        data = self.partial + data
        while len(data) >= 2 and len(data) >= 2 + data[1]:
            first, payload = data[0], data[2 : 2 + data[1]]
            data = data[2 + len(payload) :]
            if first == TEXT and len(numbers := payload.split()) == 2:
                self.hear(int(numbers[0]), numbers[1])
            elif first == PING:
                self.transport.write(client_frame(PONG, payload))
            elif first == CLOSE:
                self.code = int.from_bytes(payload[:2]) if payload else 1005
                self.transport.write(client_frame(CLOSE, payload[:2]))
            else:
                self.echoes.nonsense = f"a frame that was never sent: {first:#x} {payload!r}"
        self.partial = data

    def hear(self, number: int, pid: bytes) -> None:
        echoes, now_ns = self.echoes, time.monotonic_ns()
        if number <= self.heard:
            echoes.doubled += 1
            return
        echoes.lost += number - self.heard - 1
        for _ in range(number - self.heard):
            said_ns = self.said_ns.popleft()
        wait_ns = now_ns - said_ns
        if pid != self.pid:
            if self.pid:
                echoes.moves_ns.append((wait_ns, now_ns - self.heard_ns))
            self.pid = pid
        self.heard, self.heard_ns = number, now_ns
        echoes.heard += 1
        echoes.waits_ns.append(wait_ns)

    def connection_lost(self, error: Exception | None) -> None:
        self.silence()
        if not self.ended.done():
            self.ended.set_result(self.code)


class Echoing:
    """So many sockets of some kinds. `begin`, then `finish`, then read `seen`.

    kinds: what the sockets ask for, by turns; see the application. again: whether what ended is opened again.
    """

    def __init__(
        self, port: int, sockets: int, kinds: Sequence[str], every_s: float, random: Random, again: bool = True
    ) -> None:
        self.seen = {kind: Echoes() for kind in kinds}
        self.talks: dict[int, Talk] = {}  #: of the sockets that are open
        self._port, self._sockets, self._every_s = port, sockets, every_s
        self._random, self._again = random, again
        self._opening = asyncio.Semaphore(HANDSHAKES_AT_ONCE)
        self._over = False
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        """Returns when all are open. Raises LoadFailed if one cannot be."""
        kinds = list(self.seen)
        self._tasks = [asyncio.create_task(self._socket(one, kinds[one % len(kinds)])) for one in range(self._sockets)]
        try:
            async with asyncio.timeout(HANG_S):
                while len(self.talks) < self._sockets:
                    await asyncio.sleep(LOOK_EVERY_S)
        except TimeoutError:
            raise LoadFailed(f"only {len(self.talks)} of {self._sockets} sockets are open") from None

    async def finish(self) -> None:
        """Let each connection send once more. One that neither gets its echo nor is closed hangs.

        Raises LoadFailed if anything came that the application does not say.
        """
        self._over = True
        talks = list(self.talks.values())
        for talk in talks:
            talk.silence()
            if not talk.ended.done():
                talk.say()
        waiting = talks
        end = time.monotonic() + HANG_S
        while waiting and time.monotonic() < end:
            await asyncio.sleep(LOOK_EVERY_S)
            waiting = [talk for talk in waiting if talk.said_ns and not talk.ended.done()]
        for talk in waiting:
            talk.echoes.hanging += 1
        self.cancel()
        ends = await asyncio.gather(*self._tasks, return_exceptions=True)
        for wrong in [end for end in ends if isinstance(end, Exception)]:
            raise wrong
        for nonsense in [seen.nonsense for seen in self.seen.values() if seen.nonsense]:
            raise LoadFailed(nonsense)

    def cancel(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _socket(self, number: int, kind: str) -> None:
        echoes, life = self.seen[kind], 0
        while not self._over:
            life += 1
            try:
                talk = await self._open(f"/{kind}/{number}-{life}", echoes)
            except (LoadFailed, OSError, TimeoutError):
                echoes.not_opened += 1
            else:
                await self._until_ended(number, talk)
                if not self._again:
                    return
            await asyncio.sleep(self._random.uniform(*PAUSE_S))

    async def _open(self, target: str, echoes: Echoes) -> Talk:
        async with self._opening:
            connection = await shake_hands(self._port, target)
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(lambda: Talk(echoes, self._every_s), sock=connection))[1]

    async def _until_ended(self, number: int, talk: Talk) -> None:
        """While it is open it is one of `talks`; and the side that ended it is counted."""
        self.talks[number] = talk
        talk.begin(self._random.uniform(0, self._every_s))
        try:
            talk.echoes.closed[await talk.ended] += 1
        finally:
            del self.talks[number]
            talk.silence()
            talk.transport.abort()
