"""The connections that no worker has: how they come into the shared channel of their kind, and what ends their wait but a worker.

That is time, or a Redis that has lost the queue. What becomes of each then, connection.py decides; until when each waits,
queue_timeouts.py knows. PROTOCOL.md, "The life of a connection".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, MutableMapping
from typing import Protocol

from channel_layer.messaging.channel_writer import ChannelWriter, EnqueueListener
from channel_layer.node import Node
from channel_layer.protocol import packets
from channel_layer.protocol.codec import pack
from channel_layer.protocol.flow_control import Incoming
from channel_layer.protocol.keys import CHANNEL_OF_KIND
from channel_layer.redis.connection import Answer
from channel_layer.settings import RedisSettings
from interface_server.affinity.affinity import Tie
from interface_server.affinity.worker_channels import WorkerChannels
from interface_server.connections.connection import Opening
from interface_server.connections.queue_timeouts import QueueTimeouts
from interface_server.connections.transitions import Trigger

log = logging.getLogger("towpath.interface")


class QueuedConnection(EnqueueListener, Protocol):
    """What the queue needs of a connection."""

    number: int
    epoch: int
    kind: str
    expects_continue: bool
    incoming: Incoming
    opening: Opening | None
    state_blob: object
    tie: Tie | None
    writer: ChannelWriter
    """The way on which it was queued last; set by the queue."""
    entry_id: bytes | None
    """On the shared channel, once it is known."""
    entry_size: int

    @property
    def accepted(self) -> bool:
        """True for an open WebSocket, which waits for its next owner."""

    def apply(self, trigger: Trigger) -> None:
        """Move by the table of states, and do what it says."""


class PendingQueue:
    """Of one pump's connections, which it finds in `connections` by their numbers."""

    def __init__(
        self,
        node: Node,
        connections: Mapping[int, QueuedConnection],
        counters: MutableMapping[str, int],
        settings: RedisSettings,
        own: WorkerChannels | None,
    ) -> None:
        """own: where clients stay with one worker."""
        self._connections = connections
        self._counters = counters
        #: Whoever is adopted or done is taken out of them by the pump.
        self.timeouts = QueueTimeouts(settings.queue_wait_s, settings.resume_wait_s, settings.lease_ttl_s)
        self._wait_ms = int(settings.queue_wait_s * 1000)
        self._resume_wait_ms = int(settings.resume_wait_s * 1000)
        self._writers = {kind: node.channel_writer(channel) for kind, channel in CHANNEL_OF_KIND.items()}
        #: Open sockets that wait for their next owner are bounded by the sockets that there are, and never refused.
        self._requeue_writer = node.requeue_writer(CHANNEL_OF_KIND["websocket"])
        self._own = own
        self._era = ""
        self._loop = asyncio.get_running_loop()

    def put(self, connection: QueuedConnection) -> None:
        """Queue it; it hears of the outcome."""
        assert connection.opening is not None
        accepted = connection.accepted
        scope, body, more_body = connection.opening
        packed = pack(
            packets.open_(
                connection.number,
                connection.epoch,
                scope,
                body,
                more_body,
                max(0, connection.incoming.announced),
                self._resume_wait_ms if accepted else self._wait_ms,
                connection.expects_continue,
                self._era,
                {"state": connection.state_blob} if accepted else None,
            )
        )
        connection.writer = writer = self._requeue_writer if accepted else self._writer_for(connection)
        connection.entry_id, connection.entry_size = None, writer.entry_size_bytes(packed)
        self.timeouts.begin(connection.number, accepted, self._loop.time())
        writer.open(packed, connection, connection.epoch)

    def put_again(self, connection: QueuedConnection) -> None:
        """Queue it for its next epoch."""
        self._counters["connection.requeued"] += 1
        self.put(connection)

    def await_outcome(self, connection: QueuedConnection) -> None:
        """Whether it is queued is not known: if somebody took it, that somebody lives and says so soon."""
        self.timeouts.await_outcome(connection.number, self._loop.time())

    def withdraw(self, connection: QueuedConnection, if_gone: Trigger | None = None) -> None:
        """Take its entry back, if it is there and we know where. if_gone: what happens to the connection if it is not there."""
        if connection.entry_id is None:
            return
        epoch = connection.epoch

        def answered(answer: Answer) -> None:
            trigger = Trigger.WITHDRAWN if answer == 1 else if_gone
            if trigger is not None and epoch == connection.epoch:
                connection.apply(trigger)

        connection.writer.withdraw(connection.entry_id, connection.entry_size, answered)

    def recheck(self, connection: QueuedConnection) -> None:
        """If its entry is there all the same we take it back: then surely nobody else has it, nor ever will."""
        if connection.entry_id is None:
            connection.apply(Trigger.REDIS_EMPTY)
        else:
            self.withdraw(connection, if_gone=Trigger.REDIS_EMPTY)

    def check_timeouts(self, now: float) -> None:
        """Whose wait is over?"""
        for number in self.timeouts.due(now):
            if (connection := self._connections.get(number)) is not None:
                self._counters["queue.timeout"] += 1
                connection.apply(Trigger.WAIT_OVER)

    def recheck_queued(self) -> None:
        """Redis has lost data: whose entry is there still?"""
        log.warning("Redis has lost its data: %d connections were queued", len(self.timeouts))
        for number in self.timeouts.queued():
            self.recheck(self._connections[number])

    def enter(self, era: str) -> None:
        """This is the life of Redis' data from now on."""
        before, self._era = self._era, era
        if before not in ("", era):
            self._era_changed()

    def _era_changed(self) -> None:
        """Redis has lost its data, or another server is Redis now: who is queued is queued no more."""
        log.warning("Redis has begun a new life: %d connections were queued", len(self.timeouts))
        for number in self.timeouts.queued():
            self._connections[number].apply(Trigger.REDIS_EMPTY)

    def worker_died(self, worker: str) -> None:
        """Nobody reads its own channel any more: what waits there is withdrawn, and queued for all."""
        if self._own is None:
            return
        self._own.died(worker)
        for number in self.timeouts.queued():
            connection = self._connections[number]
            known = connection.entry_id is not None  # else its opener says where it stands
            if connection.writer.worker == worker and known:
                self.recheck(connection)

    def _writer_for(self, connection: QueuedConnection) -> ChannelWriter:
        own = None if self._own is None else self._own.writer(connection.tie, connection.kind)
        return own or self._writers[connection.kind]
