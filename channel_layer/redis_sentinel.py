"""Which server is the primary now: asked of the Sentinels, who decide it, and of all of them at once.

A Sentinel that was cut off tells of a primary that is none any more. So each answer has the epoch of its decision, which grows with each
fail-over, and the highest counts. Nobody is asked for a password.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import hiredis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError
from redis.sentinel import Sentinel as Sentinels

from channel_layer.errors import LayerUnavailable

#: A Sentinel has nothing else to do: who takes longer is away.
ANSWER_TIMEOUT_S = 1.0
BLOCKING_TIMEOUT_S = 0.5
LOOK_INTERVAL_S = 0.5
_INCOMPLETE = object()

#: The first names who is promoted at once; the second only when the other replicas have moved, but with the new epoch at once.
WHERE, STATE = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME"), ("SENTINEL", "MASTER")


@dataclass(frozen=True, slots=True)
class Primary:
    """A server that was named, and by which decision."""

    host: str
    port: int
    epoch: int

    def supersedes(self, other: Primary) -> bool:
        """Has it been put in the place of `other`? One server under two names is no reason to leave it."""
        return self.epoch > other.epoch and (self.host, self.port) != (other.host, other.port)


class Sentinel:
    """One of them, by one connection that is made when it is needed."""

    def __init__(self, host: str, port: int, service: str) -> None:
        self._where = (host, port)
        self._service = service
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._parser = hiredis.Reader(notEnoughData=_INCOMPLETE)

    async def ask(self) -> Primary:
        """OSError if it does not answer; hiredis.HiredisError if it does not know the service."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await self._ask()
        except BaseException:
            self.close()  # an answer that comes late is none to the next question
            raise

    def close(self) -> None:
        """End the connection."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def _ask(self) -> Primary:
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._where)
            self._parser = hiredis.Reader(notEnoughData=_INCOMPLETE)
        self._streams[1].write(_question(*WHERE, self._service) + _question(*STATE, self._service))
        where, facts = await self._answer(self._streams[0]), await self._answer(self._streams[0])
        if isinstance(facts, hiredis.ReplyError):
            raise facts
        epoch = dict(zip(facts[::2], facts[1::2], strict=True)).get(b"config-epoch", b"0")
        return Primary(where[0].decode(), int(where[1]), int(epoch))

    async def _answer(self, reader: asyncio.StreamReader) -> Any:
        while (answer := self._parser.gets()) is _INCOMPLETE:
            data = await reader.read(65_536)
            if not data:
                raise ConnectionResetError("the Sentinel hung up")
            self._parser.feed(data)
        return answer


def _question(*words: Any) -> bytes:
    question: bytes = hiredis.pack_command(words)
    return question


async def find_primary(sentinels: Sequence[tuple[str, int]], service: str) -> Primary:
    """The primary by the latest decision of which most Sentinels' answers tell; LayerUnavailable if none knows.

    Most of them are enough: one whose host has vanished would cost a second each time.
    """
    asked = [Sentinel(host, port, service) for host, port in sentinels]
    asking = [asyncio.ensure_future(sentinel.ask()) for sentinel in asked]
    found: list[Primary] = []
    faults: list[str] = []
    try:
        for answer in asyncio.as_completed(asking):
            try:
                found.append(await answer)
            except (OSError, hiredis.HiredisError) as error:
                faults.append(str(error) or "no answer")
            if len(found) > len(asked) // 2:
                break
    finally:
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        for sentinel in asked:
            sentinel.close()
    if not found:
        raise LayerUnavailable(f"no Sentinel knows {service}: {'; '.join(faults)}")
    return max(found, key=lambda primary: primary.epoch)


class BlockingSentinels(Sentinels):
    """The same for threads, by redis-py: they are asked one after another, and none twice."""

    def __init__(self, sentinels: Sequence[tuple[str, int]]) -> None:
        once = {"socket_timeout": BLOCKING_TIMEOUT_S, "socket_connect_timeout": BLOCKING_TIMEOUT_S}
        how = {**once, "retry": Retry(NoBackoff(), 0), "decode_responses": True, "protocol": 2}
        super().__init__(list(sentinels), sentinel_kwargs=how)  # type: ignore[no-untyped-call]  # redis-py has no types here

    def discover_master(self, service_name: str) -> tuple[str, int]:
        """Host and port of the primary; redis.ConnectionError if nobody knows it."""
        found: list[Primary] = []
        faults: list[str] = []
        for sentinel in self.sentinels:
            try:
                found.append(_asked(sentinel, service_name))
            except RedisError as error:
                faults.append(str(error))
        if not found:
            raise MasterNotFoundError(f"no Sentinel knows {service_name}: {'; '.join(faults)}")
        primary = max(found, key=lambda primary: primary.epoch)
        return primary.host, primary.port


def _asked(sentinel: Any, service: str) -> Primary:
    asking = sentinel.pipeline(transaction=False)
    asking.sentinel_get_master_addr_by_name(service)
    asking.sentinel_master(service)
    (host, port), state = asking.execute()
    return Primary(host, port, state["config-epoch"])


class SentinelWatch:
    """Asks each Sentinel twice a second. `on_primary` is told, after each answer, of the latest decision that any of them knows.

    They publish their decisions too; who asks need not find out whether he would hear of one.
    """

    def __init__(
        self, sentinels: Sequence[tuple[str, int]], service: str, on_primary: Callable[[Primary], None]
    ) -> None:
        self._sentinels = [Sentinel(host, port, service) for host, port in sentinels]
        self._on_primary = on_primary
        self._latest: Primary | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Watch from now on."""
        self._tasks = [asyncio.get_running_loop().create_task(self._watch(sentinel)) for sentinel in self._sentinels]

    async def close(self) -> None:
        """Watch no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for sentinel in self._sentinels:
            sentinel.close()

    async def _watch(self, sentinel: Sentinel) -> None:
        while True:
            try:
                self._told(await sentinel.ask())
            except (OSError, hiredis.HiredisError):
                pass  # there are others; and none of them is needed as long as the primary stays where it is
            await asyncio.sleep(LOOK_INTERVAL_S)

    def _told(self, primary: Primary) -> None:
        if self._latest is None or primary.epoch > self._latest.epoch:
            self._latest = primary
        self._on_primary(self._latest)
