"""Where the instances for one channel get their messages from, and what it means that one is finished: at most once, or at least once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from channel_layer.application.held_messages import HeldMessage, HeldMessages
from channel_layer.errors import LayerUnavailable
from channel_layer.protocol.events import Event
from worker.background.failed_messages import ATTEMPT, FailedMessages, attempt_of

log = logging.getLogger("towpath.worker")

REDIS_RETRY_S = 1.0
#: A message under which so many processes have died, or were cut off, is received no more.
TIMES_READ_MAX = 5
T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Received:
    """A message of an instance."""

    message: Event
    held: HeldMessage | None = None  #: if Redis has it until it is finished

    @property
    def for_application(self) -> Event:
        """A copy, which the application may change. It says if it was received before."""
        earlier = self.held.times_read - 1 if self.held is not None else 0
        return {**self.message, ATTEMPT: attempt_of(self.message) + earlier} if earlier else dict(self.message)


class MessageSource(Protocol):
    """The messages of one channel."""

    async def next(self) -> Received:
        """Wait for the next message. May be cancelled at any moment."""

    def has(self, received: Received) -> bool:
        """True unless another process has got the message meanwhile."""

    def finish(self, received: Received) -> None:
        """Say that the work at a message is done. What is not finished when this process ends, is its source's to decide."""

    async def close(self) -> None:
        """Receive no more."""


class AtMostOnce:
    """Messages that are removed from Redis before an instance gets them. Implements `MessageSource`."""

    def __init__(self, receive: Callable[[], Awaitable[Event]]) -> None:
        self._receive = receive

    async def next(self) -> Received:
        """See `MessageSource`."""
        return Received(await until_available(self._receive))

    def has(self, received: Received) -> bool:
        """See `MessageSource`."""
        return True

    def finish(self, received: Received) -> None:
        """See `MessageSource`."""

    async def close(self) -> None:
        """See `MessageSource`. The layer closes its readers by itself."""


class WorkerDied(Exception):
    """Why a message is a dead letter that no application has refused."""


class AtLeastOnce:
    """Messages that are removed from Redis when they are finished. Implements `MessageSource`."""

    def __init__(self, channel: str, hold: Callable[[], Awaitable[HeldMessages]], failed: FailedMessages) -> None:
        """hold: begins to receive. failed: gets messages under which too many processes have died."""
        self._channel = channel
        self._hold = hold
        self._failed = failed
        self._messages: asyncio.Task[HeldMessages] | None = None

    async def next(self) -> Received:
        """See `MessageSource`."""
        messages = await self._started()
        while (held := await messages.next()).times_read > TIMES_READ_MAX:
            error = WorkerDied(f"{TIMES_READ_MAX} workers have died while they processed this message, or were cut off")
            log.error("a message of %s is received no more: %s", self._channel, error)
            await self._failed.set_aside(self._channel, held.event, error)
            messages.finish(held)
        return Received(held.event, held)

    def has(self, received: Received) -> bool:
        """See `MessageSource`."""
        return self._messages is not None and received.held is not None and self._messages.result().has(received.held)

    def finish(self, received: Received) -> None:
        """See `MessageSource`."""
        if self._messages is not None and received.held is not None:
            self._messages.result().finish(received.held)

    async def close(self) -> None:
        """See `MessageSource`. What is not finished goes to another process at once."""
        if self._messages is None:
            return
        if self._messages.done():
            await self._messages.result().close()
        else:
            self._messages.cancel()

    async def _started(self) -> HeldMessages:
        """The messages, for all instances: the first call begins to receive them."""
        if self._messages is None:
            self._messages = asyncio.ensure_future(until_available(self._hold))
        return await asyncio.shield(self._messages)


async def until_available(call: Callable[[], Awaitable[T]]) -> T:
    """Call until Redis can be reached. A reader that has begun goes on by itself; this is for one that could not begin."""
    while True:
        try:
            return await call()
        except LayerUnavailable:
            await asyncio.sleep(REDIS_RETRY_S)
