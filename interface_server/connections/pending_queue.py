"""Puts connections that no worker owns on the shared channel of their kind, and ends waits that last too long.

A timeout ends a wait, or a Redis that has lost the queue. connection.py decides what follows; queue_timeouts.py knows how long each
waits. PROTOCOL.md, "The life of a connection".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, MutableMapping
from typing import Final, Protocol

from channel_layer.messaging.channel_writer import ChannelWriter, EnqueueListener
from channel_layer.node import Node
from channel_layer.protocol import packets
from channel_layer.protocol.codec import pack
from channel_layer.protocol.keys import CHANNEL_OF_KIND
from channel_layer.redis.connection import Answer
from channel_layer.settings import RedisSettings
from interface_server.affinity.worker_channels import WorkerChannels
from interface_server.connections.connection import Connection
from interface_server.connections.transitions import Trigger
from interface_server.queue.queue_timeouts import QueueTimeouts

log: Final = logging.getLogger("towpath.interface")


class QueuedConnection(EnqueueListener, Protocol):
    """A connection, as the queue uses it."""

    connection: Connection
    writer: ChannelWriter
    """The writer by which it was queued last; set by the queue."""
    entry_id: bytes | None
    """Its id on the shared channel, once it is known."""
    packed_bytes: int
    """The size of its packed `open`."""

    def apply(self, trigger: Trigger) -> None:
        """Move by the table of states, and carry out its action."""


class PendingQueue:
    """The queue of one dispatcher; it finds the connections by their numbers."""

    def __init__(
        self,
        node: Node,
        connections: Mapping[int, QueuedConnection],
        counters: MutableMapping[str, int],
        settings: RedisSettings,
        own: WorkerChannels | None,
    ) -> None:
        """own: the channels of single workers, if clients stay with one worker."""
        self._connections = connections
        self._counters = counters
        self.timeouts = QueueTimeouts(settings.queue_wait_s, settings.resume_wait_s, settings.lease_ttl_s)
        #: Ends the wait of the connection with this number: it is adopted or done. Bound once, since each is removed.
        self.remove = self.timeouts.end
        self._wait_ms = int(settings.queue_wait_s * 1000)
        self._resume_wait_ms = int(settings.resume_wait_s * 1000)
        self._writers = {kind: node.channel_writer(channel) for kind, channel in CHANNEL_OF_KIND.items()}
        #: Open sockets that wait for their next owner are never refused: the number of sockets bounds them.
        self._requeue_writer = node.requeue_writer(CHANNEL_OF_KIND["websocket"])
        self._own = own
        self._era = ""
        self._loop = asyncio.get_running_loop()

    def put(self, queued: QueuedConnection) -> None:
        """Queue the connection. The outcome comes by its `opened`."""
        connection = queued.connection
        number, epoch = connection.number, connection.epoch
        accepted = epoch > 1 and connection.accepted  # a call less for each request
        packed = pack(self.packet(connection, accepted))
        if accepted:
            writer = self._requeue_writer
        elif self._own is None:
            writer = self._writers[connection.kind]
        else:
            writer = self._own.writer(connection.tie, connection.kind) or self._writers[connection.kind]
        queued.writer, queued.entry_id, queued.packed_bytes = writer, None, len(packed)
        self.timeouts.begin(number, accepted, self._loop.time())
        writer.open(packed, queued, epoch)

    def packet(self, connection: Connection, accepted: bool = False) -> packets.Packet:
        """The `open` of this epoch. accepted: the connection is an open WebSocket."""
        assert connection.opening is not None
        scope, body, more_body = connection.opening
        return packets.open_(
            connection.number,
            connection.epoch,
            scope,
            body,
            more_body,
            connection.incoming.first_window(),
            self._resume_wait_ms if accepted else self._wait_ms,
            connection.expects_continue,
            self._era,
            {"state": connection.state_blob} if accepted else None,
            not connection.may_start_twice,
        )

    def put_again(self, queued: QueuedConnection) -> None:
        """Queue the connection for its next epoch."""
        self._counters[f"requeued.{queued.connection.requeued_by.name.lower()}"] += 1
        self.put(queued)

    def await_outcome(self, queued: QueuedConnection) -> None:
        """Wait for an adoption: it is not known whether the connection is queued. A live worker that took it adopts it soon."""
        self.timeouts.await_outcome(queued.connection.number, self._loop.time())

    def withdraw(self, queued: QueuedConnection, if_gone: Trigger | None = None) -> None:
        """Take the entry of the connection back, if its id is known. if_gone: the trigger if the entry is not there."""
        if queued.entry_id is None:
            return
        connection = queued.connection
        epoch = connection.epoch

        def answered(answer: Answer) -> None:
            trigger = Trigger.WITHDRAWN if answer == 1 else if_gone
            if trigger is not None and epoch == connection.epoch:
                queued.apply(trigger)

        queued.writer.withdraw(queued.entry_id, queued.packed_bytes, answered)

    def recheck(self, queued: QueuedConnection) -> None:
        """Take the entry back if Redis still has it. Once taken back, no worker has it, nor ever will."""
        if queued.entry_id is None:
            queued.apply(Trigger.REDIS_EMPTY)
        else:
            self.withdraw(queued, if_gone=Trigger.REDIS_EMPTY)

    def check_timeouts(self, now: float) -> None:
        """End the waits that are over."""
        for number in self.timeouts.due(now):
            if (queued := self._connections.get(number)) is not None:
                self._counters["queue.timeout"] += 1
                queued.apply(Trigger.WAIT_OVER)

    def recheck_queued(self) -> None:
        """Redis has lost data: recheck the entry of each connection that waits."""
        log.warning("Redis has lost its data: %d connections were queued", len(self.timeouts))
        for number in self.timeouts.queued():
            self.recheck(self._connections[number])

    def enter(self, era: str) -> None:
        """Enter an era: Redis' data is of this era from now on."""
        before, self._era = self._era, era
        if before not in ("", era):
            self._era_changed()

    def _era_changed(self) -> None:
        """Act on a new era: Redis lost its data or is another server, so nothing is queued any more."""
        log.warning("Redis has begun a new life: %d connections were queued", len(self.timeouts))
        for number in self.timeouts.queued():
            self._connections[number].apply(Trigger.REDIS_EMPTY)

    def worker_died(self, worker: str) -> None:
        """Withdraw the connections on a dead worker's own channel, and queue them for all workers."""
        if self._own is None:
            return
        self._own.died(worker)
        for number in self.timeouts.queued():
            queued = self._connections[number]
            known = queued.entry_id is not None  # else `opened` brings its id
            if queued.writer.worker == worker and known:
                self.recheck(queued)
