"""Finds the primary by asking all Sentinels, which decide on it, at once.

A Sentinel that was cut off names a server that is the primary no longer. So each answer has the epoch of its decision, which
grows with each fail-over, and the highest counts. A password is sent only to a Sentinel that requires authentication.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import hiredis

from channel_layer.process import forked_child
from channel_layer.redis.address import RedisAddress
from channel_layer.redis.address_file import AddressSource
from channel_layer.redis.blocking.primary_finder import ANSWER_TIMEOUT_S, STATE, WHERE, Primary
from channel_layer.redis.rejection_reasons import refusal

ASK_INTERVAL_S = 0.5
_INCOMPLETE = object()


class Sentinel:
    """One Sentinel, over one connection that is made when it is needed."""

    def __init__(self, host: str, port: int, source: AddressSource) -> None:
        self._where = (host, port)
        self._source = source
        self._service = source.current().service
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._parser = hiredis.Reader(notEnoughData=_INCOMPLETE)
        forked_child.give_up_in_children(self)

    async def ask(self) -> Primary:
        """The primary that it names. Raises OSError without an answer; hiredis.HiredisError if it does not know the service."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await self._ask()
        except BaseException:
            self.close()  # a late answer must not be taken for that to the next question
            raise

    def close(self) -> None:
        """End the connection."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    def forked(self) -> None:
        """See `Inherited`."""
        if self._streams is not None and not self._streams[1].transport.is_closing():
            forked_child.close(self._descriptor)

    async def _ask(self) -> Primary:
        if self._streams is None:
            await self._connect()
        service = self._service
        where, facts = await self._exchange((*WHERE, service), (*STATE, service))
        for answer in (facts, where):
            if isinstance(answer, hiredis.ReplyError):
                raise answer
        if where is None:
            raise hiredis.ReplyError(f"it names no primary of {service}")
        epoch = dict(zip(facts[::2], facts[1::2], strict=True)).get(b"config-epoch", b"0")
        return Primary(where[0].decode(), int(where[1]), int(epoch))

    async def _connect(self) -> None:
        address = self._source.current()
        tls, credentials = address.tls, address.sentinel_credentials
        self._streams = await asyncio.open_connection(*self._where, ssl=tls.context() if tls else None)
        self._descriptor = self._streams[1].get_extra_info("socket").fileno()
        self._parser = hiredis.Reader(notEnoughData=_INCOMPLETE)
        if credentials is None:
            return
        (answer,) = await self._exchange(("PING",))
        if isinstance(answer, hiredis.ReplyError) and str(answer).startswith("NOAUTH"):
            (answer,) = await self._exchange(credentials.command)
            if isinstance(answer, hiredis.ReplyError):
                raise answer

    async def _exchange(self, *commands: tuple[str, ...]) -> list[Any]:
        """The answers to the commands, one for each; an error is one too."""
        assert self._streams is not None
        reader, writer = self._streams
        writer.write(b"".join(map(_packed, commands)))
        answers: list[Any] = []
        for _ in commands:
            try:
                answers.append(await self._answer(reader))
            except ConnectionResetError:
                if answers and isinstance(answers[-1], hiredis.ReplyError):
                    raise answers[-1] from None  # the reason why it hangs up
                raise
        return answers

    async def _answer(self, reader: asyncio.StreamReader) -> Any:
        while (answer := self._parser.gets()) is _INCOMPLETE:
            data = await reader.read(65_536)
            if not data:
                raise ConnectionResetError("the Sentinel hung up")
            self._parser.feed(data)
        return answer


def _packed(command: tuple[Any, ...]) -> bytes:
    packed: bytes = hiredis.pack_command(command)
    return packed


async def find_primary(address: RedisAddress) -> Primary:
    """The primary by the latest decision among the answers of most Sentinels. Raises NothingSent if none knows it.

    Most of them are enough: one on a host that does not answer would cost a second each time.
    """
    asked = [Sentinel(host, port, address) for host, port in address.sentinels]
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
        raise refusal(*faults, rotated=address.from_file)(f"no Sentinel knows {address.service}: {'; '.join(faults)}")
    return max(found, key=lambda primary: primary.epoch)


class SentinelWatch:
    """Asks each Sentinel twice a second. `on_primary` gets, after each answer, the latest decision that any of them knows.

    Sentinels publish their decisions too, but a subscriber cannot know whether it would receive one.
    """

    def __init__(self, source: AddressSource, on_primary: Callable[[Primary], None]) -> None:
        self._sentinels = [Sentinel(host, port, source) for host, port in source.current().sentinels]
        self._on_primary = on_primary
        self._latest: Primary | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start asking."""
        self._tasks = [asyncio.get_running_loop().create_task(self._watch(sentinel)) for sentinel in self._sentinels]

    async def close(self) -> None:
        """Stop asking."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for sentinel in self._sentinels:
            sentinel.close()

    async def _watch(self, sentinel: Sentinel) -> None:
        while True:
            try:
                self._on_answer(await sentinel.ask())
            except (OSError, hiredis.HiredisError):
                pass  # there are others; and none is needed as long as the primary stays where it is
            await asyncio.sleep(ASK_INTERVAL_S)

    def _on_answer(self, primary: Primary) -> None:
        if self._latest is None or primary.epoch > self._latest.epoch:
            self._latest = primary
        self._on_primary(self._latest)
