"""Queues connections on one shared channel: one script call is under way, and what comes meanwhile gathers.

Nothing is sent twice. The outcome of each goes to its `EnqueueListener`: the entry's id; FULL; UNAVAILABLE (nothing was sent);
UNKNOWN (sent, and no answer came). PROTOCOL.md, P4 and "Unknown outcomes".
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Protocol

from channel_layer.encryption.encryption import ENTRY_OVERHEAD_BYTES as ENCRYPTION_OVERHEAD_BYTES
from channel_layer.errors import LayerUnavailable
from channel_layer.messaging.node_context import NodeContext
from channel_layer.process.rejection_log import RejectionLog
from channel_layer.protocol.codec import PACKETS_MAX, batch_head, join_batch, packets_of_one_batch
from channel_layer.protocol.illegal_move import IllegalMove
from channel_layer.protocol.keys import GROUP
from channel_layer.redis import scripts as redis_scripts
from channel_layer.redis.connection import Answer, OnAnswer, RedisConnection

log: Final = logging.getLogger("towpath.writer")

TTL_INTERVAL_S: Final = 1.0
RETRY_S: Final = 0.25
ENTRY_OVERHEAD_BYTES: Final = 3  #: of a batch, beside its head and one packet
FEW: Final = 16  #: so many go together without adding up their sizes


class Outcome(Enum):
    """The outcome of an `open` that has no known entry."""

    FULL = auto()  #: the channel is at its capacity; nothing was added
    UNAVAILABLE = auto()  #: Redis was unreachable or rejected the call; nothing was added
    UNKNOWN = auto()  #: no answer came: the entry may exist or not


class Flush(Enum):
    """Whether a script call is due or under way.

    IDLE ──something waits──▶ SCHEDULED ──its turn──▶ UNDER_WAY
      ▲                           │                       │
      ├── nothing can be sent ────┘                       │
      └───────────── answer, or a new connection ─────────┘
    """

    __hash__ = object.__hash__  # by identity; Enum's own is Python code, and stands in every look-up

    IDLE = auto()
    SCHEDULED = auto()  #: in the next turn of the loop
    UNDER_WAY = auto()


IDLE: Final = Flush.IDLE
SCHEDULED: Final = Flush.SCHEDULED
UNDER_WAY: Final = Flush.UNDER_WAY

# Every legal move, by its cause and from each state; a state that is missing there is an error in this program. Each request makes
# three of them, so they are looked up where they are made, without a call.
ON_WAITING: Final = {IDLE: SCHEDULED}
ON_SENT: Final = {SCHEDULED: UNDER_WAY}
ON_NOTHING_SENT: Final = {SCHEDULED: IDLE}
#: An answer that comes after a new connection, or after the one for a later call, moves nothing.
ON_ANSWER: Final = {UNDER_WAY: IDLE, IDLE: IDLE, SCHEDULED: SCHEDULED}
ON_CONNECTED: Final = ON_ANSWER


class EnqueueListener(Protocol):
    """Gets the outcome of an `open`."""

    def is_pending(self, epoch: int) -> bool:
        """True if the connection still waits to be queued. Asked at the moment of sending; if False, nothing is sent or reported."""

    def opened(self, epoch: int, outcome: bytes | Outcome) -> None:
        """Handle the outcome: the entry's id, or why there is none, or none that is known."""


_Opening = tuple[bytes, EnqueueListener, int]


@dataclass(frozen=True, slots=True)
class ChannelLimits:
    """How much one process lets wait on a shared channel, and how long the channel's keys live at least."""

    capacity: int
    size_bytes_max: int
    ttl_ms: int


class ChannelWriter:
    """Queues connections on one shared channel, for one process. worker: the only one that reads the channel; None: all do."""

    def __init__(self, context: NodeContext, channel: str, limits: ChannelLimits, worker: str | None = None) -> None:
        self.worker = worker
        self._head = batch_head(context.name)
        self._encryption = context.encryption if context.encryption.enabled else None
        self._overhead_bytes = len(self._head) + ENTRY_OVERHEAD_BYTES  # of an entry, beside its packet
        if self._encryption is not None:
            self._overhead_bytes += ENCRYPTION_OVERHEAD_BYTES
        self._stream = context.keys.channel(channel)
        self._size = context.keys.channel_size(channel)
        self._limits = (limits.capacity, limits.size_bytes_max, limits.ttl_ms + int(TTL_INTERVAL_S * 1000))
        self._ttl_due = 0.0  # when the keys' time to live is to be renewed
        self._connection: RedisConnection | None = None
        self._waiting: list[_Opening] = []
        #: Connections that are requeued while Redis is unreachable or full; their wait is bounded elsewhere.
        self._requeueing: list[_Opening] = []
        #: Withdrawals without an answer: era and id of each entry, size of its packet, and the callback for its outcome.
        self._unanswered_withdrawals: list[tuple[str, bytes, int, OnAnswer]] = []
        self.abandoned = False  #: no worker reads the channel any more; see `abandon`
        self._rejections = RejectionLog(log, "new connections")
        self._flush_state: Flush = IDLE
        self._retry: asyncio.TimerHandle | None = None  # set when Redis has rejected connections that are requeued
        self._loop = asyncio.get_running_loop()

    def connected(self, connection: RedisConnection) -> None:
        """Use a new connection: repeat withdrawals without an answer, and requeue what waited for Redis."""
        self._connection = connection
        self._flush_state = ON_CONNECTED[self._flush_state]
        if self._retry is not None:
            self._retry.cancel()
        unanswered, self._unanswered_withdrawals = self._unanswered_withdrawals, []
        for era, entry_id, packed_bytes, on_answer in unanswered:
            if era == connection.era:  # in another era of the data, no worker can take the entry
                self.withdraw(entry_id, packed_bytes, on_answer)
        self._requeue()

    def abandon(self) -> None:
        """Mark the channel as one that no worker reads any more: connections that are queued there are withdrawn."""
        self.abandoned = True

    @property
    def idle(self) -> bool:
        """True if nothing is under way or waiting."""
        if self._waiting or self._requeueing or self._unanswered_withdrawals:
            return False
        return self._flush_state is IDLE

    def open(self, packed: bytes, listener: EnqueueListener, epoch: int) -> None:
        """Queue one packed packet. The outcome is passed to `listener.opened`."""
        self._waiting.append((packed, listener, epoch))
        if self._flush_state is IDLE:
            self._flush_state = ON_WAITING[IDLE]
            self._loop.call_soon(self._flush)

    def withdraw(self, entry_id: bytes, packed_bytes: int, on_answer: OnAnswer) -> None:
        """Run the cancel script. The answer 1 means that no worker will ever take the entry. packed_bytes: of its packet.

        Without an answer the script runs again on the next connection: `on_answer` gets LayerUnavailable first, and then the
        answer.
        """
        connection = self._connection
        if connection is None:
            on_answer(LayerUnavailable("not connected to Redis"))
            return

        def answered(answer: Answer) -> None:
            if isinstance(answer, LayerUnavailable):
                self._unanswered_withdrawals.append((connection.era, entry_id, packed_bytes, on_answer))
            on_answer(answer)

        size_bytes = self._overhead_bytes + packed_bytes  # as it counts against the channel's bytes
        redis_scripts.CANCEL.call(connection, answered, 2, self._stream, self._size, GROUP, entry_id, size_bytes)

    def _flush(self) -> None:
        if self._flush_state not in ON_SENT:  # nor in ON_NOTHING_SENT
            raise IllegalMove(f"a script call is to be sent while {self._flush_state.name}")
        batch = [opening for opening in self._next() if opening[1].is_pending(opening[2])]
        connection = self._connection
        if not batch or connection is None or not connection.alive:
            self._flush_state = ON_NOTHING_SENT[self._flush_state]
            self._reject(batch)
            return
        self._flush_state = ON_SENT[self._flush_state]

        def answered(answer: Answer) -> None:
            self._answered(batch, answer)

        entries = [join_batch(self._head, [packed]) for packed, _, _ in batch]
        if self._encryption is not None:
            entries = [self._encryption.entry(self._stream, entry) for entry in entries]
        redis_scripts.OPEN.call(
            connection,
            answered,
            2,
            self._stream,
            self._size,
            *self._limits,
            self._ttl_is_due(),
            *entries,
        )

    def _ttl_is_due(self) -> int:
        now = self._loop.time()
        if now < self._ttl_due:
            return 0
        self._ttl_due = now + TTL_INTERVAL_S
        return 1

    def _reject(self, batch: list[_Opening]) -> None:
        """Handle connections that Redis cannot take now. New ones fail at once (503); those that are requeued wait and are
        retried.

        A connection is requeued when its answer or its owner was lost: it was accepted once, so an outage must not end it.
        """
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
        """As many waiting connections as one script call takes."""
        if len(self._waiting) <= FEW:
            batch, self._waiting = self._waiting, []
            return batch
        count = packets_of_one_batch([packed for packed, _, _ in self._waiting[:PACKETS_MAX]])
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    def _answered(self, batch: list[_Opening], answer: Answer) -> None:
        self._flush_state = ON_ANSWER[self._flush_state]
        if isinstance(answer, Exception):
            self._failed(batch, answer)
            return
        if self._rejections.count:
            self._rejections.accepted()
        for (_, listener, epoch), entry_id in zip(batch, answer, strict=True):
            listener.opened(epoch, Outcome.FULL if entry_id is None else entry_id)
        self._go_on()

    def _failed(self, batch: list[_Opening], error: Exception) -> None:
        """Handle connections whose script call got no answer, or an error from Redis."""
        self._ttl_due = 0.0  # as far as is known, the time to live was not renewed
        if isinstance(error, LayerUnavailable):
            for _, listener, epoch in batch:
                listener.opened(epoch, Outcome.UNKNOWN)
            self._go_on()
            return
        self._rejections.rejected(error)
        self._reject(batch)
        if self._requeueing and self._retry is None:
            self._retry = self._loop.call_later(RETRY_S, self._requeue)

    def _go_on(self) -> None:
        if self._waiting and self._flush_state is IDLE:
            self._flush_state = ON_WAITING[IDLE]
            self._loop.call_soon(self._flush)
