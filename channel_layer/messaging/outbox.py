"""Sends packets to other processes: one batch per destination is under way, and what comes meanwhile leaves together.

Packets gather during one turn of the loop, and while a batch is under way. So a quiet process answers at once, and a busy one
sends hundreds of packets by one command. A batch with an unknown outcome is kept and sent again, in order: the receiver drops
what it has received. A destination without an inbox keeps its packets until the process is known to be gone (`drop`), or
until its lease was found missing (`drop_marked`: without those that were posted since, as the process may be alive).

A batch that Redis refuses is sent again too, without the `open` packets in it, so that their clients need not wait: as long as Redis has
certainly not got one, nothing of its connection was begun. PROTOCOL.md, P1, "Invitations" and "Unknown outcomes".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Final, cast

import hiredis

from channel_layer.errors import LayerUnavailable, NothingSent
from channel_layer.messaging.node_context import NodeContext
from channel_layer.process.rejection_log import RejectionLog
from channel_layer.protocol.codec import (
    BATCH_SIZE_BYTES_MAX,
    LONG_SIZE_BYTES_MIN,
    PACKETS_MAX,
    Packed,
    batch_head,
    batch_in_pieces,
    connection_of_open,
    connection_of_packet,
    join_batch,
    pack_in_pieces,
    packets_of_one_batch,
)
from channel_layer.protocol.packets import Packet
from channel_layer.redis.connection import Answer, NotSent, OnAnswer, RedisConnection
from channel_layer.redis.rejection_reasons import refuses_all

log: Final = logging.getLogger("towpath.outbox")

RETRY_S: Final = 0.25

#: Connections, each by its number and epoch, and the node to which their `open` was to go.
OnUnsent = Callable[[str, list[tuple[int, int]]], None]


class _Destination:
    """The packets for one node: those that wait, and those under way."""

    __slots__ = ("flushing", "inbox", "marked", "node", "uncertain", "under_way", "waiting", "waiting_bytes")

    def __init__(self, node: str, inbox: str) -> None:
        self.node = node
        self.inbox = inbox
        self.waiting: list[Packed] = []
        self.waiting_bytes = 0
        self.under_way: list[Packed] = []
        self.flushing = False  # a flush is due in this turn of the loop
        self.marked = 0  # how many packets were here when a check of the node's lease began
        self.uncertain = 0  # how many packets, from the first on, Redis may have: they were sent, and not answered

    @property
    def busy(self) -> bool:
        """True if there are packets that Redis, as far as is known, has not got."""
        return bool(self.waiting or self.under_way)

    def take_back(self, refused: bool) -> None:
        """Put what was under way before all that waits, to send it again. refused: it was certainly not added this time."""
        if not refused:
            self.uncertain = max(self.uncertain, len(self.under_way))
        self.waiting[:0] = self.under_way
        self.waiting_bytes += sum(map(len, self.under_way))
        self.under_way = []

    def next_batch(self) -> list[Packed]:
        """Move as much as one batch holds from `waiting` to `under_way`, and return it."""
        waiting = self.waiting
        if len(waiting) <= PACKETS_MAX and self.waiting_bytes <= BATCH_SIZE_BYTES_MAX:
            self.under_way, self.waiting, self.waiting_bytes = waiting, [], 0
            return waiting
        count = packets_of_one_batch(waiting)
        self.under_way, self.waiting = waiting[:count], waiting[count:]
        self.waiting_bytes -= sum(map(len, self.under_way))
        return self.under_way

    def drop_first(self, count: int) -> None:
        """Drop the first packets that wait."""
        del self.waiting[:count]
        self.waiting_bytes = sum(map(len, self.waiting))
        self.uncertain = max(0, self.uncertain - count)

    def withdraw_unsent(self) -> list[tuple[int, int]]:
        """Drop each `open` that Redis certainly has not, and the packets of its connection behind it. Returns these connections.

        To be called while nothing is under way.
        """
        unsent = [connection for packed in self.waiting[self.uncertain :] if (connection := connection_of_open(packed))]
        if not unsent:
            return unsent
        gone = set(unsent)
        keeps = [
            index < self.uncertain or connection_of_packet(packed) not in gone
            for index, packed in enumerate(self.waiting)
        ]
        self.marked = sum(keeps[: self.marked])
        self.waiting = [packed for packed, kept in zip(self.waiting, keeps, strict=True) if kept]
        self.waiting_bytes = sum(map(len, self.waiting))
        return unsent


class Outbox:
    """All destinations of one process."""

    def __init__(self, context: NodeContext, on_missing: Callable[[str], None], on_unsent: OnUnsent) -> None:
        """on_missing: a node's inbox was missing. on_unsent: see `Receiver.on_unsent`."""
        self._head = batch_head(context.name)
        self._encryption = context.encryption if context.encryption.enabled else None
        #: Without any, Redis has accepted the last batch, as far as is known.
        self.rejections = RejectionLog(log, "batches for other processes")
        self._keys = context.keys
        self._on_missing, self._on_unsent = on_missing, on_unsent
        self._destinations: dict[str, _Destination] = {}
        self._connection: RedisConnection | None = None
        self._due: list[_Destination] = []
        self._loop = asyncio.get_running_loop()
        self._scheduled = False
        self._before_flush: list[Callable[[], None]] = []

    def connected(self, connection: RedisConnection) -> None:
        """Use a new connection: what was under way on the last one is sent again, in order."""
        self._connection = connection
        for destination in self._destinations.values():
            destination.take_back(refused=False)
            if destination.waiting:
                self._make_due(destination)

    def post(self, node: str, packed: Packed) -> None:
        """Queue one packed packet for `node`. It leaves at the end of this turn of the loop or of the next ones, or with the next batch."""
        destination = self._destinations.get(node)
        if destination is None:
            destination = self._destinations[node] = _Destination(node, self._keys.inbox(node))
        destination.waiting.append(packed)
        destination.waiting_bytes += len(packed)
        if not destination.flushing and not destination.under_way:
            self._make_due(destination)

    def post_long(self, node: str, packet: Packet) -> None:
        """Queue a `data` with long bodies, which are not copied."""
        self.post(node, pack_in_pieces(packet))

    def send_alone(self, node: str, packed: bytes, on_answer: OnAnswer) -> None:
        """Send one packet by a command of its own, ahead of what waits, and never again.

        `on_answer` gets the entry's id; None: there is no such inbox; else an error.
        """
        if self._connection is None:
            on_answer(NothingSent("not connected to Redis"))
            return
        inbox = self._keys.inbox(node)
        batch = join_batch(self._head, [packed])
        if self._encryption is not None:
            batch = self._encryption.entry(inbox, batch)
        self._connection.call(on_answer, "XADD", inbox, "NOMKSTREAM", "*", "b", batch)

    def drop(self, node: str) -> None:
        """Drop all packets for `node`: it is dead, and no process will read them."""
        self._destinations.pop(node, None)

    def mark(self, node: str) -> None:
        """Mark the packets for `node` that are here now, before its lease is checked."""
        destination = self._destinations.get(node)
        if destination is not None:
            destination.marked = len(destination.under_way) + len(destination.waiting)

    def drop_marked(self, node: str) -> None:
        """Drop the marked packets, since the lease was missing, unless some are under way or have arrived since."""
        destination = self._destinations.get(node)
        if destination is not None and not destination.under_way:
            destination.drop_first(destination.marked)
            destination.marked = 0

    def __len__(self) -> int:
        return len(self._destinations)

    def waiting_bytes(self, node: str) -> int:
        """The bytes that wait for `node`, without those of the batch under way."""
        destination = self._destinations.get(node)
        return destination.waiting_bytes if destination is not None else 0

    def drop_idle(self) -> None:
        """Drop destinations without packets: nodes come and go, and never return under the same name."""
        self._destinations = {node: kept for node, kept in self._destinations.items() if kept.busy}

    @property
    def refused_lately(self) -> bool:
        """True if Redis has refused a batch within the last second. Later the next batch finds out whether it still does."""
        return bool(self.rejections.count) and not self.rejections.is_quiet(self._loop.time())

    @property
    def empty(self) -> bool:
        """True if Redis has confirmed everything that was posted."""
        return not any(destination.busy for destination in self._destinations.values())

    def before_flush(self, post_gathered: Callable[[], None]) -> None:
        """Call `post_gathered` at the end of this turn of the loop, before packets leave: it may post some more."""
        self._before_flush.append(post_gathered)
        self.schedule()

    def schedule(self) -> None:
        """Make sure that a flush comes at the end of this turn of the loop."""
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self.flush)

    def _make_due(self, destination: _Destination) -> None:
        destination.flushing = True
        self._due.append(destination)
        self.schedule()

    def flush(self) -> None:
        """Send what waits. It is called at the end of the turn of the loop, or earlier if nothing more is expected in it."""
        try:
            while self._before_flush:
                self._before_flush.pop()()
        finally:
            self._scheduled = False  # not earlier: what is posted by `before_flush` leaves now
            self._send_due()

    def _send_due(self) -> None:
        """Send to the first half of the destinations; the others have their turn when the loop turns next.

        A process that is written to in each turn of the loop is woken for a few packets; in every second one, for twice as many.
        """
        now = (len(self._due) + 1) // 2
        due, self._due = self._due[:now], self._due[now:]
        if self._due:
            self.schedule()
        for destination in due:
            destination.flushing = False
            if not destination.under_way and destination.waiting:
                self._try_to_send(destination)

    def _try_to_send(self, destination: _Destination) -> None:
        """Send one batch. A fault of one destination must not keep back the packets of the others."""
        try:
            self._send(destination)
        except MemoryError as error:
            self._rejected(destination, error)
        except (TypeError, ValueError):  # it never can be sent; the receiver finds out that packets are lost
            log.exception("an internal error: packets for %a cannot be sent", destination.node)
            self.drop(destination.node)

    def _send(self, destination: _Destination) -> None:
        connection = self._connection
        if connection is None or not connection.alive:
            return  # `connected` sends it again
        is_long = destination.waiting_bytes >= LONG_SIZE_BYTES_MIN
        packed = destination.next_batch()
        pieces = batch_in_pieces(self._head, packed) if is_long else [join_batch(self._head, cast(list[bytes], packed))]
        if self._encryption is not None:
            pieces = [self._encryption.entry(destination.inbox, b"".join(pieces))]
        answered = partial(self._answered, destination)
        command = ("XADD", destination.inbox, "NOMKSTREAM", "*", "b")
        if is_long:
            connection.call_in_pieces(answered, command, pieces)
        else:
            connection.call(answered, *command, pieces[0])

    def _answered(self, destination: _Destination, answer: Answer) -> None:
        if isinstance(answer, LayerUnavailable):
            return  # unknown: kept under way until `connected`
        if answer is None or isinstance(answer, hiredis.ReplyError):
            self._rejected(destination, answer)
            return
        if self.rejections.count:
            self.rejections.accepted(self._loop.time())
        if destination.uncertain:
            destination.uncertain = max(0, destination.uncertain - len(destination.under_way))
        destination.under_way = []
        destination.marked = 0
        if destination.waiting and not destination.flushing:
            self._make_due(destination)

    def _rejected(self, destination: _Destination, answer: Answer) -> None:
        """Keep a batch that was not added and retry it. The inbox is missing, memory is short (Redis' or ours), or Redis is
        read-only.
        """
        if answer is None:
            self._on_missing(destination.node)
        else:
            self.rejections.rejected(answer, self._loop.time())
        refused = isinstance(answer, NotSent) or refuses_all(answer)
        destination.take_back(refused or answer is None)
        if self._destinations.get(destination.node) is not destination:
            return
        unsent = destination.withdraw_unsent() if refused else []
        if destination.waiting:
            destination.flushing = True
            self._loop.call_later(RETRY_S, self._retry, destination)
        if unsent:  # last: what ends with them may post
            self._on_unsent(destination.node, unsent)

    def _retry(self, destination: _Destination) -> None:
        if self._destinations.get(destination.node) is destination and destination.waiting:
            self._due.append(destination)
            self.schedule()
        else:
            destination.flushing = False
