"""How connections come onto the shared channels: one script call per channel under way, the rest gathers.

What is sent is never sent twice. The outcome of each goes to its `EnqueueListener`: the entry's id; FULL; UNAVAILABLE (nothing was
sent); UNKNOWN (sent, and no answer came). PROTOCOL.md, P4 and "Unknown outcomes".
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

import hiredis

from channel_layer.errors import LayerUnavailable
from channel_layer.messaging.node_context import NodeContext
from channel_layer.protocol.codec import PACKETS_MAX, batch_head, join_batch, packets_of_one_batch
from channel_layer.protocol.keys import GROUP
from channel_layer.redis import scripts as redis_scripts
from channel_layer.redis.connection import Answer, OnAnswer, RedisConnection
from channel_layer.redis.rejection_log import RejectionLog

log = logging.getLogger("towpath.opener")

TTL_INTERVAL_S = 1.0
RETRY_S = 0.25
FEW = 16  #: so many go together without a look at their size


class Outcome(Enum):
    """What became of an `open` that has no entry."""

    FULL = auto()  #: refused by capacity; nothing was added
    UNAVAILABLE = auto()  #: Redis was not reachable, or refused; nothing was added
    UNKNOWN = auto()  #: no answer came: it may or may not be there


class EnqueueListener(Protocol):
    """Who waits for the outcome of an `open`."""

    def waits(self, epoch: int) -> bool:
        """Is it still to be opened? Asked at the moment of sending; if not, nothing is sent and nothing more is said."""

    def opened(self, epoch: int, outcome: bytes | Outcome) -> None:
        """The entry's id, or why there is none (or none that is known)."""


_Opening = tuple[bytes, EnqueueListener, int]


@dataclass(frozen=True, slots=True)
class ChannelLimits:
    """How much one process lets wait on a shared channel, and how long the keys of the channel live at least."""

    capacity: int
    size_bytes_max: int
    ttl_ms: int


class ChannelWriter:
    """The way onto one shared channel, for one process. worker: the one that alone reads this channel; None: all do."""

    def __init__(self, context: NodeContext, channel: str, limits: ChannelLimits, worker: str | None = None) -> None:
        self.worker = worker
        self._head = batch_head(context.name)
        self._stream = context.keys.channel(channel)
        self._size = context.keys.channel_size(channel)
        self._limits = (limits.capacity, limits.size_bytes_max, limits.ttl_ms + int(TTL_INTERVAL_S * 1000))
        self._ttl_due = 0.0  # when the keys' time to live is to be seen to again
        self._connection: RedisConnection | None = None
        self._waiting: list[_Opening] = []
        #: Queued again while Redis is away or full; their wait is counted elsewhere.
        self._requeueing: list[_Opening] = []
        #: To be withdrawn, and nobody knows whether they were: the era, id and size of each, and who wants to know.
        self._unanswered_withdrawals: list[tuple[str, bytes, int, OnAnswer]] = []
        self._abandoned = False
        self._rejections = RejectionLog(log, "new connections")
        self._under_way = False
        self._scheduled = False
        self._retry: asyncio.TimerHandle | None = None  # when Redis has refused what is returning
        self._loop = asyncio.get_running_loop()

    def connected(self, connection: RedisConnection) -> None:
        """A connection stands (again)."""
        self._connection = connection
        self._under_way = False
        if self._retry is not None:
            self._retry.cancel()
        unanswered, self._unanswered_withdrawals = self._unanswered_withdrawals, []
        for era, entry_id, size_bytes, on_answer in unanswered:
            if era == connection.era:  # in another life of the data nobody takes it
                self.withdraw(entry_id, size_bytes, on_answer)
        self._requeue()

    def abandon(self) -> None:
        """Nobody reads this channel any more: what comes to stand there is withdrawn."""
        self._abandoned = True

    @property
    def abandoned(self) -> bool:
        """True after `abandon`."""
        return self._abandoned

    @property
    def idle(self) -> bool:
        """True if nothing is under way, or will be."""
        return not (
            self._waiting or self._requeueing or self._unanswered_withdrawals or self._under_way or self._scheduled
        )

    def open(self, packed: bytes, listener: EnqueueListener, epoch: int) -> None:
        """Queue one packed packet. The outcome comes by `listener.opened`."""
        self._waiting.append((packed, listener, epoch))
        if not self._scheduled and not self._under_way:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def withdraw(self, entry_id: bytes, size_bytes: int, on_answer: OnAnswer) -> None:
        """Run the cancel script: 1 means that nobody will ever take the entry.

        Without an answer it is run again on the next connection: `on_answer` hears LayerUnavailable first, and the answer then.
        """
        connection = self._connection
        if connection is None:
            on_answer(LayerUnavailable("not connected to Redis"))
            return

        def answered(answer: Answer) -> None:
            if isinstance(answer, LayerUnavailable):
                self._unanswered_withdrawals.append((connection.era, entry_id, size_bytes, on_answer))
            on_answer(answer)

        redis_scripts.CANCEL.call(connection, answered, 2, self._stream, self._size, GROUP, entry_id, size_bytes)

    def entry_size_bytes(self, packed: bytes) -> int:
        """What an entry with this packet counts against the channel's bytes."""
        return len(self._head) + 3 + len(packed)

    def _flush(self) -> None:
        self._scheduled = False
        batch = [opening for opening in self._next() if opening[1].waits(opening[2])]
        if not batch:
            self._go_on()
            return
        connection = self._connection
        if connection is None or not connection.alive:
            self._reject(batch)
            return
        self._under_way = True

        def answered(answer: Answer) -> None:
            self._answered(batch, answer)

        redis_scripts.OPEN.call(
            connection,
            answered,
            2,
            self._stream,
            self._size,
            *self._limits,
            self._ttl_is_due(),
            *[join_batch(self._head, [packed]) for packed, _, _ in batch],
        )

    def _ttl_is_due(self) -> int:
        now = self._loop.time()
        if now < self._ttl_due:
            return 0
        self._ttl_due = now + TTL_INTERVAL_S
        return 1

    def _reject(self, batch: list[_Opening]) -> None:
        """Redis is away, or takes nothing: who is new is told so; who was in already, and has lost his answer or his owner, waits."""
        for opening in batch:
            _, listener, epoch = opening
            if epoch > 1:
                self._requeueing.append(opening)
            else:
                listener.opened(epoch, Outcome.UNAVAILABLE)
        self._go_on()

    def _requeue(self) -> None:
        self._retry = None
        self._waiting, self._requeueing = self._requeueing + self._waiting, []
        self._go_on()

    def _next(self) -> list[_Opening]:
        """As much as one script call takes."""
        if len(self._waiting) <= FEW:
            batch, self._waiting = self._waiting, []
            return batch
        count = packets_of_one_batch([packed for packed, _, _ in self._waiting[:PACKETS_MAX]])
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    def _answered(self, batch: list[_Opening], answer: Answer) -> None:
        self._under_way = False
        if isinstance(answer, Exception):
            self._ttl_due = 0.0  # nobody has seen to it, as far as we know
        if isinstance(answer, LayerUnavailable):
            outcomes: list[bytes | Outcome] = [Outcome.UNKNOWN] * len(batch)
        elif isinstance(answer, hiredis.ReplyError):
            self._rejections.rejected(answer)
            self._reject(batch)
            if self._requeueing and self._retry is None:
                self._retry = self._loop.call_later(RETRY_S, self._requeue)
            return
        else:
            if self._rejections.count:
                self._rejections.accepted()
            outcomes = [Outcome.FULL if entry_id is None else entry_id for entry_id in answer]
        for (_, listener, epoch), outcome in zip(batch, outcomes, strict=True):
            listener.opened(epoch, outcome)
        self._go_on()

    def _go_on(self) -> None:
        if self._waiting and not self._scheduled and not self._under_way:
            self._scheduled = True
            self._loop.call_soon(self._flush)
