"""The connections of this process in each group: carries out joins and leaves, and delivers messages of groups.

channel_layer/messaging/membership.py keeps the members; here the process subscribes in Redis, the sender of the packet is answered,
and a message goes to each socket. PROTOCOL.md, "Sending from anywhere, and groups"; P10.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from channel_layer.errors import InvalidMessage
from channel_layer.messaging.membership import Membership
from channel_layer.node import Node
from channel_layer.protocol import packets
from channel_layer.protocol.events import Event
from channel_layer.protocol.names import check_group
from channel_layer.protocol.socket_messages import socket_message
from interface_server.groups.deliveries import Deliveries
from interface_server.groups.dropped_messages import DroppedMessages
from interface_server.groups.fan_out import FanOut
from interface_server.groups.interfaces import PushedMessage, Recipient

#: After the accept of a resumed WebSocket's instance: until then it has confirmed the groups that it wants to stay in.
CONFIRMATION_TIMEOUT_S = 5.0


class GroupMembers:
    """The groups of one dispatcher; it finds the connections by their numbers."""

    def __init__(
        self,
        node: Node,
        membership: Membership[int],
        connections: Mapping[int, Recipient],
        deliveries: Deliveries,
        dropped: DroppedMessages,
    ) -> None:
        self._node = node
        self._membership = membership
        self._connections = connections
        self._dropped = dropped
        self._deliveries = deliveries
        self._fan_out = FanOut(deliveries.push)
        self._loop = asyncio.get_running_loop()

    def deliver_to_group(self, group: str, event: Event) -> None:
        """Deliver a message that was sent to a group."""
        self._deliveries.message_came()
        origin = self._origin(event)
        try:
            pushed = PushedMessage(socket_message(event), group, origin)
        except InvalidMessage as error:
            self._dropped.log("dropped.push_invalid", f"group {group}", str(error))
            return
        if not self._fan_out.send(pushed, self._membership.members(group)):
            self._dropped.log("dropped.push_queue_full", f"group {group}", "too many wait for delivery already")
            self._deliveries.missed(pushed)

    def _origin(self, event: Event) -> tuple[int, int, int] | None:
        """Number, epoch and count of the instance that has published `event`, if its connection is one of ours."""
        origin = event.pop(packets.ORIGIN, None)
        if type(origin) is not list or origin[:1] != [self._node.name]:
            return None
        _, *place = origin
        return (place[0], place[1], place[2]) if list(map(type, place)) == [int, int, int] else None

    def published(self, recipient: Recipient, count: int, group: str) -> None:
        """Record the place of a message to `group` among the packets of its instance."""
        member = self._membership.has(group, recipient.connection.number)
        self._deliveries.placed(recipient, count, member and self._node.is_subscribed(group))

    def join(self, sender: str, packet: list[Any]) -> None:
        """Perform a `join` packet. The answer waits for Redis, so that a message sent after it reaches the new member."""
        _, number, epoch, group, request = packet[:5]
        check_group(group)
        if not self._knows(number, epoch):
            self._node.post(sender, packets.joined(number, epoch, request, False))
            return
        self._membership.add(group, number, epoch)

        def confirmed(future: asyncio.Future[None]) -> None:
            known = not future.cancelled()
            self._node.post(sender, packets.joined(number, epoch, request, known))

        self._node.subscribe(group).add_done_callback(confirmed)

    def leave(self, sender: str, packet: list[Any]) -> None:
        """Perform and answer a `leave` packet."""
        _, number, epoch, group, request = packet[:5]
        known = self._knows(number, epoch)
        if known and self._membership.discard(group, number):
            self._node.unsubscribe(group)
        self._node.post(sender, packets.joined(number, epoch, request, known))

    def resumed(self, recipient: Recipient) -> None:
        """Let memberships end soon unless confirmed: another instance has accepted an open socket."""
        self._loop.call_later(CONFIRMATION_TIMEOUT_S, self._remove_unconfirmed, recipient, recipient.connection.epoch)

    def _remove_unconfirmed(self, recipient: Recipient, epoch: int) -> None:
        if recipient.connection.epoch == epoch and recipient.owned:
            for group in self._membership.expire_stale(recipient.connection.number, epoch):
                self._node.unsubscribe(group)

    def _knows(self, number: int, epoch: int) -> bool:
        """True if a packet of this epoch is valid. Epoch 0 always is: it is not from the connection's instance."""
        recipient = self._connections.get(number)
        return recipient is not None and epoch in (0, recipient.connection.epoch)
