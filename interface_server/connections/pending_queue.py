"""The connections that no worker has: how they come into the shared channel of their kind, and what ends their wait but a worker.

That is time, or a Redis that has lost the queue. What becomes of each then, connection.py decides; until when each waits,
queue_timeouts.py knows. PROTOCOL.md, "The life of a connection".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING

from channel_layer.messaging.channel_writer import ChannelWriter
from channel_layer.node import Node
from channel_layer.protocol import packets
from channel_layer.protocol.codec import pack
from channel_layer.protocol.keys import CHANNEL_OF_KIND
from channel_layer.redis.connection import OnAnswer
from channel_layer.settings import RedisSettings
from interface_server.affinity.worker_channels import WorkerChannels
from interface_server.connections.connection import Trigger
from interface_server.connections.queue_timeouts import QueueTimeouts

if TYPE_CHECKING:
    from interface_server.connections.upstream import UpstreamConnection

log = logging.getLogger("towpath.interface")


class PendingQueue:
    """Of one pump's connections, which it finds in `connections` by their numbers."""

    def __init__(
        self,
        node: Node,
        connections: Mapping[int, UpstreamConnection],
        counters: MutableMapping[str, int],
        settings: RedisSettings,
        own: WorkerChannels | None,
    ) -> None:
        """own: where clients stay with one worker."""
        self._connections = connections
        self._counters = counters
        #: Whoever is adopted or done is taken out of them by the pump.
        self.waits = QueueTimeouts(settings.queue_wait_s, settings.resume_wait_s, settings.lease_ttl_s)
        self._wait_ms = int(settings.queue_wait_s * 1000)
        self._resume_wait_ms = int(settings.resume_wait_s * 1000)
        self._openers = {kind: node.channels.opener(channel) for kind, channel in CHANNEL_OF_KIND.items()}
        #: Open sockets that wait for their next owner are bounded by the sockets that there are, and never refused.
        self._reopener = node.channels.reopener(CHANNEL_OF_KIND["websocket"])
        self._own = own
        self._era = ""
        self._loop = asyncio.get_running_loop()

    def put(self, upstream: UpstreamConnection) -> None:
        """Queue it; it hears of the outcome."""
        assert upstream.opening is not None
        scope, body, more_body = upstream.opening
        packed = pack(
            packets.open_(
                upstream.number,
                upstream.epoch,
                scope,
                body,
                more_body,
                max(0, upstream.incoming.told),
                self._resume_wait_ms if upstream.accepted else self._wait_ms,
                upstream.expects_continue,
                self._era,
                {"state": upstream.state_blob} if upstream.accepted else None,
            )
        )
        upstream.opener = opener = self._opener_for(upstream)
        upstream.entry_id, upstream.entry_size = None, opener.entry_size_bytes(packed)
        self.waits.begin(upstream.number, upstream.accepted, self._loop.time())
        opener.open(packed, upstream, upstream.epoch)

    def put_again(self, upstream: UpstreamConnection) -> None:
        """Queue it for its next epoch."""
        self._counters["connection.requeued"] += 1
        self.put(upstream)

    def doubt(self, upstream: UpstreamConnection) -> None:
        """Whether it is queued is not known: if somebody took it, that somebody lives and says so soon."""
        self.waits.doubt(upstream.number, self._loop.time())

    def withdraw(self, upstream: UpstreamConnection, entry_id: bytes, answered: OnAnswer) -> None:
        """Take its entry back; answered with 1 if nobody had taken it."""
        upstream.opener.withdraw(entry_id, upstream.entry_size, answered)

    def look(self, now: float) -> None:
        """Whose wait is over?"""
        for number in self.waits.due(now):
            if (upstream := self._connections.get(number)) is not None:
                self._counters["queue.timeout"] += 1
                upstream.perform(upstream.transition(Trigger.WAIT_OVER))

    def seek(self) -> None:
        """Redis has lost data: whose entry is there still?"""
        log.warning("Redis has lost its data: %d connections were queued", len(self.waits))
        for number in self.waits.queued():
            self._connections[number].seek()

    def enter(self, era: str) -> None:
        """This is the life of Redis' data from now on."""
        before, self._era = self._era, era
        if before not in ("", era):
            self._era_changed()

    def _era_changed(self) -> None:
        """Redis has lost its data, or another server is Redis now: who is queued is queued no more."""
        log.warning("Redis has begun a new life: %d connections were queued", len(self.waits))
        for number in self.waits.queued():
            upstream = self._connections[number]
            upstream.perform(upstream.transition(Trigger.REDIS_EMPTY))

    def worker_died(self, worker: str) -> None:
        """Nobody reads its own channel any more: what waits there is withdrawn, and queued for all."""
        if self._own is None:
            return
        self._own.died(worker)
        for number in self.waits.queued():
            upstream = self._connections[number]
            known = upstream.entry_id is not None  # else its opener says where it stands
            if upstream.opener.worker == worker and known:
                upstream.seek()

    def _opener_for(self, upstream: UpstreamConnection) -> ChannelWriter:
        if upstream.accepted:
            return self._reopener
        own = None if self._own is None else self._own.opener(upstream.tie, upstream.kind)
        return own or self._openers[upstream.kind]
