"""Sends requests to the workers that have invited them, and asks back what they have not begun in time.

inviting_workers.py decides. PROTOCOL.md, "Invitations".
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, Protocol

from channel_layer.errors import LayerUnavailable
from channel_layer.node import Node
from channel_layer.protocol import packets
from channel_layer.protocol.close_codes import SERVICE_RESTART
from channel_layer.protocol.packets import INVITE_HAS_PLACES, Cancel
from interface_server.connections.connection import Connection
from interface_server.connections.interfaces import Client
from interface_server.connections.pending_queue import PendingQueue
from interface_server.connections.transitions import Trigger
from interface_server.direct.inviting_workers import RECALL_S, InvitingWorkers
from interface_server.settings import InterfaceSettings

READ_UP_TIMEOUT_S: Final = 1.0


class DirectConnection(Protocol):
    """A connection, as direct dispatch uses it."""

    connection: Connection

    def apply(self, trigger: Trigger) -> None:
        """Move by the table of states, and carry out its action."""


class DirectDispatch:
    """The direct dispatch of one interface server; it finds the connections by their numbers."""

    def __init__(
        self,
        node: Node,
        queue: PendingQueue,
        connections: Mapping[int, DirectConnection],
        counters: MutableMapping[str, int],
        settings: InterfaceSettings,
    ) -> None:
        self._node = node
        self._queue = queue
        self._connections = connections
        self._counters = counters
        self._allowed = settings.sticky == "off"
        self._answer_may_be_late = settings.response_timeout_s > 0  # its timeout begins when a worker has the request
        self.workers = InvitingWorkers()
        self.count = 0  #: requests that were sent directly
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._recalling: asyncio.Task[None] | None = None

    def send(self, connection: Connection, client: Client) -> bool:
        """Send a new connection to a worker that has invited it, which is its owner from now on. Returns False if there is none.

        WebSockets are spread by the workers themselves, and a client that waits for `100 Continue` would get it too early. While Redis does
        not take packets the shared channel answers 503.
        """
        if not self._allowed or connection.kind == "websocket" or connection.expects_continue:
            return False
        previous = client.last_worker
        worker = self.workers.choose(previous) if self._node.takes_packets else None
        if worker is None:
            return False
        connection.adopt(worker.name, 0)  # its window follows, if it needs one
        connection.sent_directly = True
        self._node.acquire_peer(worker.name)
        if worker.name != previous:
            client.last_worker = worker.name
        if self._answer_may_be_late:
            client.adopted()
        self._node.post(worker.name, self._queue.packet(connection))
        worker.sent(connection.number, self._loop.time(), connection.may_start_twice)
        self.count += 1
        if self._timer is None:
            self._timer = self._loop.call_later(RECALL_S, self._check)
        return True

    def owner_lost(self, connection: Connection, owner: str) -> None:
        """Share a connection no more with the worker that was its owner."""
        self._node.release_peer(owner)
        if connection.sent_directly:
            connection.sent_directly = False
            self.workers.over(owner, connection.number)

    def never_began(self, connection: Connection) -> bool:
        """True if it is certain that its dead owner has not begun with a request that may start only once.

        Its worker acknowledges such a request before it begins. A worker that is only slow, and has lost its lease, may begin later.
        """
        owner = connection.owner
        if owner is None or connection.may_start_twice or not self.is_unbegun(connection):
            return False
        return self._node.is_certainly_gone(owner)

    def is_unbegun(self, connection: Connection) -> bool:
        """True if it was sent to its owner directly, which has not acknowledged it, as far as is known."""
        owner = connection.owner
        return owner is not None and connection.sent_directly and self.workers.is_unbegun(owner, connection.number)

    def may_be_lost(self, connection: Connection) -> bool:
        """True if its owner may never have got the request: it was not acknowledged, as far as is known."""
        owner = connection.owner
        return owner is not None and connection.sent_directly and self.workers.may_be_unbegun(owner, connection.number)

    def on_invite(self, worker: str, packet: list[Any]) -> None:
        """Handle an invitation. A worker that invites is watched, so that no request is sent to a dead one."""
        quota, last = packet[3], packet[4]
        if type(quota) is not int or type(last) is not int:
            raise TypeError("an invitation has two numbers")
        has_places = len(packet) > INVITE_HAS_PLACES and packet[INVITE_HAS_PLACES] is True
        if self._node.is_gone(worker):
            return
        if self.workers.invited(worker, quota, last, has_places):
            self._node.acquire_peer(worker)

    def left(self, worker: str) -> None:
        """Forget a worker that is dead or has left."""
        if worker in self.workers.by_name:
            self.workers.left(worker)
            self._node.release_peer(worker)

    def stop(self) -> None:
        """Ask nothing back any more: the process ends."""
        if self._timer is not None:
            self._timer.cancel()
        if self._recalling is not None:
            self._recalling.cancel()

    def _check(self) -> None:
        """Ask back what is late."""
        self._timer = None
        if self.workers.any_late(self._loop.time()) and (self._recalling is None or self._recalling.done()):
            self._recalling = self._loop.create_task(self._recall_late())
        if self.workers.any_open:
            self._timer = self._loop.call_later(RECALL_S, self._check)

    async def _recall_late(self) -> None:
        """Read the inbox up first: acknowledgements may wait in it behind large responses."""
        try:
            async with asyncio.timeout(READ_UP_TIMEOUT_S):
                await self._node.read_inbox_up()
        except (LayerUnavailable, TimeoutError):
            return
        ask, take = self.workers.to_recall(self._loop.time())
        for number in ask:
            self._ask_back(self._connections[number].connection)
        for number in take:
            self._take_back(self._connections[number])

    def _ask_back(self, connection: Connection) -> None:
        """Ask its worker to give a request back. One that has begun with it ignores that."""
        assert connection.owner is not None
        self._counters["direct.recalled"] += 1
        self._node.post(connection.owner, packets.cancel(connection.number, connection.epoch, Cancel.RECALLED))

    def _take_back(self, upstream: DirectConnection) -> None:
        """Queue a request for all workers, without an answer of its worker: a second start does no harm."""
        connection = upstream.connection
        number, epoch, owner = connection.number, connection.epoch, connection.owner
        assert owner is not None
        if connection.opening is not None:
            self._node.post(owner, packets.cancel(number, epoch, Cancel.MOVED, SERVICE_RESTART))
            upstream.apply(Trigger.RECALLED)
            self.owner_lost(connection, owner)
