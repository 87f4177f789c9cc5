"""Delivers messages of groups and third parties to the sockets, in order with the packets of their owners.

Nearly always a message goes straight to its socket. One that has to wait is held here by connection (delivery_order.py), and only
while it waits, so that a process without any pays for a look-up in an empty dictionary.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Final

from channel_layer.errors import InvalidMessage
from channel_layer.protocol.events import Event, payload_sizes_bytes
from channel_layer.protocol.server_sent_events import takes_events
from channel_layer.protocol.socket_messages import socket_message
from interface_server.groups.delivery_order import Held, is_own, may_go, may_take
from interface_server.groups.dropped_messages import DroppedMessages
from interface_server.groups.interfaces import PushedMessage, Recipient, RecipientState

log: Final = logging.getLogger("towpath.interface")


class Deliveries:
    """The deliveries of one dispatcher, to the connections that it finds by their numbers."""

    def __init__(
        self,
        connections: Mapping[int, Recipient],
        counters: MutableMapping[str, int],
        dropped: DroppedMessages,
        perform: Callable[[str, list[list[Any]]], None],
        held_bytes_max: int,
    ) -> None:
        """perform: carries out packets, and never raises. held_bytes_max: for one connection."""
        self._connections = connections
        self._counters = counters
        self._dropped = dropped
        self._perform = perform
        self._held_bytes_max = held_bytes_max
        self._pubsub_silent = False  # the last awaited message of a group has not come, nor any other since
        self.held: dict[int, Held] = {}

    def send(self, recipient: Recipient, event: Event, count: int) -> bool:
        """Deliver a message to the reply channel, at once if accepted. count: of its own instance; else 0.

        Returns False if this recipient can never take a message of this type: it is dropped.
        """
        if count and not self._is_next(recipient.connection, count):
            return True
        try:
            pushed = PushedMessage(socket_message(event))
        except InvalidMessage as error:
            self._dropped.log("dropped.push_invalid", recipient.channel, str(error))
            return True
        if not may_take(recipient.connection, pushed):
            self._drop_misfit(recipient, pushed)
            return False
        if recipient.connection.takes_pushes:
            recipient.client.push(pushed)
        else:
            self._hold_for_answer(recipient, pushed)
        return True

    def _hold_for_answer(self, recipient: Recipient, pushed: PushedMessage) -> None:
        held = self._held_of(recipient)
        if held.size_bytes < self._held_bytes_max:
            held.keep_sent(pushed)
        else:
            self._drop_before_accept(recipient, held)

    def push(self, number: int, pushed: PushedMessage) -> None:
        """Deliver a message of a group to one member, if it is still there."""
        recipient = self._connections.get(number)
        if recipient is None:
            return
        origin = pushed.origin  # plain comparisons: this is done for each member of a group
        if recipient.connection.takes_pushes and (origin is None or origin[0] != number) and number not in self.held:
            recipient.client.push(pushed)
        else:
            self._in_order(recipient, pushed)

    def _in_order(self, recipient: Recipient, pushed: PushedMessage) -> None:
        self._note_own(recipient, pushed)
        if recipient.connection.number in pushed.excluded:
            self.go_on(recipient)
        elif not may_take(recipient.connection, pushed):
            self._drop_misfit(recipient, pushed)
            self.go_on(recipient)
        elif recipient.connection.number not in self.held and may_go(recipient.connection, pushed):
            recipient.client.push(pushed)
        else:
            self._hold(recipient, pushed)
            self.go_on(recipient)

    def answer_first(self, recipient: Recipient, answer: list[Event], size_bytes: int) -> None:
        """Deliver the answer to a handshake, then what waits for it."""
        recipient.client.deliver(answer, size_bytes)
        self.release(recipient)

    def stream_began(self, recipient: Recipient) -> None:
        """Let through what waits for the start of an event stream, and all that comes from now on."""
        recipient.connection.stream_began()
        self.release(recipient)

    def start_first(self, recipient: Recipient, events: list[Event], size_bytes: int) -> bool:
        """Deliver the start of an event stream, what waits for it, and the rest. Returns False if nothing waits for this response.

        If it is no event stream, what waits is dropped. events, size_bytes: the first that have come from the owner.
        """
        if recipient.connection.number not in self.held:
            return False
        if events and takes_events(events[0].get("headers") or ()):
            start_size_bytes = payload_sizes_bytes(events[:1])
            recipient.client.deliver(events[:1], start_size_bytes)
            events, size_bytes = events[1:], size_bytes - start_size_bytes
        if not recipient.connection.takes_pushes:
            self._drop_held(recipient)
        if recipient.owned and events:  # else a message that waited has ended the response
            recipient.client.deliver(events, size_bytes)
        return True

    def _drop_held(self, recipient: Recipient) -> None:
        """Drop what waits for the start of an event stream: the response is none."""
        held = self.held.get(recipient.connection.number)
        if held is not None:
            for pushed in held.remove_pushes():
                self._drop_misfit(recipient, pushed)
            self._done(recipient.connection.number, held)

    def _drop_misfit(self, recipient: Recipient, pushed: PushedMessage) -> None:
        """Drop a message that this recipient cannot take."""
        where = f"group {pushed.group}" if pushed.group else recipient.channel
        if recipient.connection.kind == "websocket":
            self._dropped.log("dropped.push_to_websocket", where, f"{recipient.channel} is a WebSocket")
        else:
            why = f"{recipient.channel} is an HTTP exchange, and can take only parts of the body of an event stream"
            self._dropped.log("dropped.push_to_http", where, why)

    def _note_own(self, recipient: Recipient, pushed: PushedMessage) -> None:
        """Record that a message of the recipient's own instance has come."""
        if is_own(recipient.connection, pushed):
            assert pushed.origin is not None
            recipient.connection.came = max(recipient.connection.came, pushed.origin[2])

    def _hold(self, recipient: Recipient, pushed: PushedMessage) -> None:
        held = self._held_of(recipient)
        if held.size_bytes < self._held_bytes_max:
            held.keep_push(pushed)
        elif recipient.connection.takes_pushes:  # keeping the order may cost this much memory, and no more
            held.keep_push(pushed)
            self._give_up(recipient, held)
        else:
            self._drop_before_accept(recipient, held)

    def _drop_before_accept(self, recipient: Recipient, held: Held) -> None:
        self._counters["dropped.push_before_accept"] += 1
        if not held.drop_logged:
            held.drop_logged = True
            text = "%s has not been answered, and %d bytes wait for that: what comes now is dropped"
            log.warning(text, recipient.channel, held.size_bytes)

    def _held_of(self, recipient: Recipient) -> Held:
        return self.held.setdefault(recipient.connection.number, Held())

    # -- where the two ways meet

    def placed(self, recipient: Recipient, count: int, expected: bool) -> None:
        """Record the place of a message of its own instance to a group. expected: the message itself will come here too."""
        if not self._is_next(recipient.connection, count):
            return
        if expected and not self._pubsub_silent and recipient.connection.came < count:
            self._held_of(recipient).wait_for(count)
        self.release(recipient)

    @staticmethod
    def _is_next(recipient: RecipientState, count: int) -> bool:
        """True if this count is new; False if it was sent again after a reconnect."""
        if count <= recipient.placed:
            return False
        recipient.placed = count
        return True

    def message_came(self) -> None:
        """Note that publish and subscribe works: a message of a group has come."""
        self._pubsub_silent = False

    def missed(self, pushed: PushedMessage) -> None:
        """Stop the waiting for a message that was dropped."""
        recipient = self._connections.get(pushed.origin[0]) if pushed.origin is not None else None
        if recipient is not None:
            self._note_own(recipient, pushed)
            self.go_on(recipient)

    def holds(self, sender: str, packet: list[Any]) -> bool:
        """True if `packet` is of the owner and has to wait; it is then held."""
        held = self.held.get(packet[1])
        if held is None or held.running or not (held.awaited or held.packets):
            return False
        recipient = self._connections[packet[1]]
        if not recipient.connection.is_from_owner(sender, packet[2]):
            return False
        held.keep_packet(sender, packet)
        if held.size_bytes > self._held_bytes_max:
            self._give_up(recipient, held)
            self.go_on(recipient)
        return True

    def release(self, recipient: Recipient) -> None:
        """Write the pushes that need not wait any longer."""
        held = self.held.get(recipient.connection.number)
        if held is None:
            return
        while (pushed := held.next_push(recipient.connection)) is not None:
            recipient.client.push(pushed)
        self._done(recipient.connection.number, held)

    def go_on(self, recipient: Recipient) -> None:
        """Release pushes, and carry out the owner's packets; these may end the connection, or let others wait."""
        self.release(recipient)
        held = self.held.get(recipient.connection.number)
        if held is not None and not held.running:
            self._run(recipient, held)
            self._done(recipient.connection.number, held)

    def _run(self, recipient: Recipient, held: Held) -> None:
        held.running = True
        while (waited := held.next_packet(recipient.connection)) is not None:
            sender, packet = waited
            self._perform(sender, [packet])
        held.running = False

    def _done(self, number: int, held: Held) -> None:
        if not held and not held.running and self.held.get(number) is held:
            del self.held[number]

    # -- the ends of waiting

    def check_timeouts(self) -> None:
        """End waits that are overdue; call it twice a second."""
        for number, held in tuple(self.held.items()):
            recipient = self._connections[number]
            if held.overdue():
                self._pubsub_silent = self._pubsub_silent or bool(held.awaited)
                self._give_up(recipient, held)
                self.go_on(recipient)

    def _give_up(self, recipient: Recipient, held: Held) -> None:
        self._counters["order.given_up"] += 1
        held.give_up(recipient.connection)

    def owner_lost(self, recipient: Recipient) -> None:
        """Carry out now the held packets of an owner that is lost."""
        while (held := self.held.get(recipient.connection.number)) is not None and held.awaited:
            held.give_up(recipient.connection)
            self.go_on(recipient)

    def discard(self, recipient: Recipient) -> None:
        """Drop all that waits for a recipient in `held`: its connection is done. A waiting `join` or `leave` still gets its answer."""
        held = self.held.pop(recipient.connection.number)
        self._counters["dropped.push_not_open"] += held.end()
        if not held.running:
            self._run(recipient, held)
