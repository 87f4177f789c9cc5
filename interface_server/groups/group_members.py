"""The connections of this process in each group: carries out joins and leaves, and delivers messages of groups.

channel_layer/messaging/membership.py keeps the members; here the process subscribes in Redis, the sender of the packet is answered,
and a message goes to each socket. PROTOCOL.md, "Sending from anywhere, and groups"; P10.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from channel_layer.errors import InvalidMessage
from channel_layer.messaging.membership import Membership
from channel_layer.node import Node
from channel_layer.protocol import packets
from channel_layer.protocol.codec import pack, unpack
from channel_layer.protocol.events import Event
from channel_layer.protocol.names import check_group
from channel_layer.protocol.socket_messages import is_for_clients, report_message, socket_message
from interface_server.groups.deliveries import Deliveries
from interface_server.groups.dropped_messages import DroppedMessages
from interface_server.groups.fan_out import FanOut
from interface_server.groups.interfaces import NOBODY, PushedMessage, Recipient

#: After the accept of a resumed WebSocket's instance: until then it has confirmed the groups that it wants to stay in.
CONFIRMATION_TIMEOUT_S: Final = 5.0
#: No connection has a number with more digits: Redis' numbers have 64 bits.
NUMBER_DIGITS_MAX: Final = 19


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
            pushed = PushedMessage(socket_message(event), group, origin, self._excluded(event))
        except InvalidMessage as error:
            self._drop(group, event, error)
            self._skip(group, origin)
            return
        self._fan(pushed, self._receivers(pushed))

    def report_missed(self, group: str) -> None:
        """Deliver to each member that asked for it the message about lost ones: some to this group did not reach this process."""
        asking: defaultdict[bytes, list[int]] = defaultdict(list)  # nearly always they ask for the same
        for number, packed in self._membership.reports(group).items():
            asking[packed].append(number)
        for packed, numbers in asking.items():
            self._fan(PushedMessage(unpack(packed), group), tuple(numbers))

    def _drop(self, group: str, event: Event, error: InvalidMessage) -> None:
        if is_for_clients(event.get("type")):
            self._dropped.log("dropped.push_invalid", f"group {group}", str(error))
        else:
            self._dropped.log("dropped.push_not_for_clients", f"group {group}", str(error))

    def _fan(self, pushed: PushedMessage, members: tuple[int, ...]) -> None:
        if not self._fan_out.send(pushed, members):
            self._dropped.log("dropped.push_queue_full", f"group {pushed.group}", "too many wait for delivery already")
            self._deliveries.missed(pushed)

    def _receivers(self, pushed: PushedMessage) -> tuple[int, ...]:
        """The members of the group without those that are excluded, but with the publisher: its packets wait for the message."""
        members, excluded = self._membership.members(pushed.group), pushed.excluded
        if not excluded:
            return members
        publisher = pushed.origin[0] if pushed.origin is not None else 0
        return tuple(number for number in members if number not in excluded or number == publisher)

    def _skip(self, group: str, origin: tuple[int, int, int] | None) -> None:
        """Let the publisher's packets go on, in their place behind earlier messages: this one reaches no member."""
        if origin is not None and self._membership.has(group, origin[0]):
            self._fan(PushedMessage({}, group, origin, frozenset(origin[:1])), origin[:1])

    def _excluded(self, event: Event) -> frozenset[int]:
        """The numbers of our connections that are named in `towpath.exclude`. Raises InvalidMessage if that is no list of names."""
        channels = event.get(packets.EXCLUDE)
        if channels is None:
            return NOBODY
        if not isinstance(channels, list) or not all(isinstance(channel, str) for channel in channels):
            raise InvalidMessage(f"message[{packets.EXCLUDE!r}] is no list of channel names")
        numbers = (
            number for node, _, number in (channel.partition("!") for channel in channels) if node == self._node.name
        )
        return frozenset(int(number) for number in numbers if number.isdecimal() and len(number) <= NUMBER_DIGITS_MAX)

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
        _, number, epoch, group, request = packet[: packets.JOIN_REPORT]
        check_group(group)
        report = report_message(*packet[packets.JOIN_REPORT : packets.JOIN_REPORT + 1])
        if not self._knows(number, epoch):
            self._node.post(sender, packets.joined(number, epoch, request, False))
            return
        self._membership.add(group, number, epoch, None if report is None else pack(report))

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

    def _knows(self, number: Any, epoch: Any) -> bool:
        """True if a packet of this epoch is valid. Epoch 0 always is: it is not from the connection's instance.

        An application channel has a name in place of a number, and one that comes here by mistake is not known.
        """
        recipient = self._connections.get(number)
        return recipient is not None and epoch in (0, recipient.connection.epoch)
