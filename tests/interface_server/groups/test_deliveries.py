"""Where the two ways to a socket meet: who waits for whom, for how long, and what becomes of it when the connection ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from channel_layer.protocol import packets
from channel_layer.protocol.events import Event, payload_sizes_bytes
from channel_layer.protocol.scope import Scope
from interface_server.connections.upstream import UpstreamConnection
from interface_server.groups.deliveries import Deliveries
from interface_server.groups.delivery_order import CHECKS_MAX
from interface_server.groups.dropped_messages import DroppedMessages
from interface_server.groups.interfaces import PushedMessage

OWNER = "worker.000000000001"
HELD_BYTES_MAX = 5_000
EVENTS = b"text/event-stream"


@dataclass
class Socket:
    """A client's side that keeps what comes."""

    heard: list[str] = field(default_factory=list)
    on_start: Callable[[], None] | None = None  #: an exchange calls it when the start of an event stream is written

    def push(self, pushed: PushedMessage) -> None:
        event = pushed.event
        self.heard.append(event["text"] if "text" in event else event["body"].decode())

    def deliver(self, events: Sequence[Event], size_bytes: int) -> None:
        assert size_bytes == payload_sizes_bytes(events)
        for event in events:
            self.heard.append(event["type"].rpartition(".")[2] if "start" in event["type"] else event["body"].decode())
        if self.on_start is not None and "start" in events[0]["type"]:
            self.on_start()


class Played:
    """One connection with its deliveries; the test plays both ways to it."""

    def __init__(self, kind: str = "websocket", accepted: bool = True) -> None:
        self.connections: dict[int, UpstreamConnection] = {}
        self.counters: Counter[str] = Counter()
        self.obeyed: list[Any] = []
        dropped = DroppedMessages(self.counters)
        self.deliveries = Deliveries(self.connections, self.counters, dropped, self._perform, HELD_BYTES_MAX)
        self.socket = Socket()
        services: Any = SimpleNamespace(name="interface.000000000001", deliveries=self.deliveries)
        client: Any = self.socket
        scope = Scope({"type": kind, "method": "GET", "headers": []})
        self.upstream = UpstreamConnection(services, client, 1, (scope, b"", False, False), 100_000)
        self.upstream.connection.adopt(OWNER, 100_000)
        if accepted:
            self.accept()
        self.connections[1] = self.upstream

    def accept(self) -> None:
        self.upstream.connection.filter_events([{"type": "websocket.accept"}])

    def _perform(self, sender: str, batch: list[list[Any]]) -> None:
        assert sender == OWNER
        (packet,) = batch
        if packet[0] == packets.PUBLISHED:
            self.deliveries.placed(self.upstream, packet[3], True)
        else:
            self.obeyed.append(packet[3])
            self.socket.heard.append(str(packet[3]))

    def packet(self, *packet: Any) -> None:
        """By the inbox, from the owner."""
        if not self.deliveries.holds(OWNER, list(packet)):
            self._perform(OWNER, [list(packet)])

    def place(self, count: int) -> None:
        self.packet(packets.PUBLISHED, 1, 1, count, "room")

    def group(self, words: str, count: int = 0, epoch: int = 1) -> None:
        """By a group; with a count of its own instance."""
        origin = (1, epoch, count) if count else None
        self.deliveries.push(1, PushedMessage({"type": "websocket.send", "text": words}, "room", origin))

    def send(self, words: str, count: int = 0) -> None:
        """By the inbox, to the reply channel."""
        self.deliveries.send(self.upstream, {"type": "websocket.send", "text": words}, count)

    def event(self, words: str, count: int = 0) -> None:
        """By a group, for an event stream."""
        origin = (1, 1, count) if count else None
        event = {"type": "http.response.body", "body": words.encode(), "more_body": True}
        self.deliveries.push(1, PushedMessage(event, "room", origin))

    def respond(self, media_type: bytes, *parts: bytes) -> None:
        """The first packet of a response."""
        if media_type == EVENTS:
            self.socket.on_start = self.upstream.event_stream_began
        start: Event = {"type": "http.response.start", "headers": [(b"content-type", media_type)]}
        bodies: list[Event] = [{"type": "http.response.body", "body": part, "more_body": True} for part in parts]
        self.upstream.on_data(1, [start, *bodies])

    def check_timeouts(self, times: int = 1) -> None:
        for _ in range(times):
            self.deliveries.check_timeouts()

    @property
    def heard(self) -> list[str]:
        return self.socket.heard


async def test_a_message_whose_place_has_not_come_waits_and_so_does_what_the_group_says_after_it() -> None:
    """P1, P10. What the owner says and sends before that goes on."""
    played = Played()
    played.group("own", count=1)
    played.group("another's")
    played.send("to the channel")
    played.packet(packets.DATA, 1, 1, "data")
    assert played.heard == ["to the channel", "data"]
    played.place(1)
    assert played.heard == ["to the channel", "data", "own", "another's"]
    assert not played.deliveries.held


async def test_what_the_owner_says_behind_a_place_waits_for_the_message() -> None:
    """P1, P10. Others' messages do not; two places one after the other are waited for in order."""
    played = Played()
    played.place(1)
    played.packet(packets.DATA, 1, 1, "behind the first")
    played.place(2)
    played.packet(packets.DATA, 1, 1, "behind the second")
    played.group("another's")
    assert played.heard == ["another's"]
    played.group("first", count=1)
    assert played.heard == ["another's", "first", "behind the first"]
    played.group("second", count=2)
    assert played.heard == ["another's", "first", "behind the first", "second", "behind the second"]
    assert not played.deliveries.held and played.counters["order.given_up"] == 0


async def test_neither_side_waits_for_the_other_for_ever() -> None:
    """P5. Counted; and after a message that did not come none is waited for until the group is heard again."""
    played = Played()
    played.place(1)
    played.packet(packets.DATA, 1, 1, "behind it")
    played.check_timeouts(CHECKS_MAX)
    assert played.heard == []
    played.check_timeouts()
    assert played.heard == ["behind it"] and played.counters["order.given_up"] == 1
    played.place(2)
    played.packet(packets.DATA, 1, 1, "not held up")
    assert played.heard[-1] == "not held up"
    played.group("early", count=4)
    played.check_timeouts(CHECKS_MAX)
    assert played.heard[-1] == "not held up"
    played.check_timeouts()
    assert played.heard[-1] == "early" and not played.deliveries.held


async def test_others_messages_do_not_lengthen_the_wait_for_one_that_was_lost() -> None:
    """P5. Else a busy group would hold up its member for as long as it is busy."""
    played = Played()
    played.place(1)
    played.packet(packets.DATA, 1, 1, "behind it")
    for _ in range(CHECKS_MAX + 1):
        played.group("another's")
        played.check_timeouts()
    assert played.heard[-1] == "behind it"


async def test_what_waits_for_order_is_bounded_in_bytes() -> None:
    """P5. Order is given up for memory, and nothing is lost by it."""
    played = Played()
    for number in range(2, 12):
        played.group("x" * 100, count=number)
    assert len(played.heard) > 5 and played.counters["order.given_up"] >= 1
    behind = Played()
    behind.place(1)
    for _ in range(10):
        behind.packet(packets.SEND, 1, 1, {"type": "websocket.send", "text": "x" * 100}, 2)
    assert len(behind.obeyed) > 5 and behind.counters["order.given_up"] == 1


async def test_what_is_pushed_before_the_accept_waits_for_it_in_order(caplog: pytest.LogCaptureFixture) -> None:
    """P1, P5. Bounded: what is too much is dropped, counted, and told once."""
    played = Played(accepted=False)
    played.group("own", count=2)
    played.send("mine", count=1)
    played.place(2)
    played.group("another's")
    assert played.heard == []
    for _ in range(20):
        played.send("x" * 100)
        played.group("x" * 100)
    played.accept()
    played.deliveries.release(played.upstream)
    assert played.heard[:3] == ["mine", "own", "another's"]
    assert played.counters["dropped.push_before_accept"] + len(played.heard) == 43
    assert caplog.text.count("what comes now is dropped") == 1
    assert not played.deliveries.held


async def test_a_connection_that_is_refused_takes_along_what_waited_for_its_accept() -> None:
    """P5. Counted; who asked for an answer still gets one."""
    played = Played(accepted=False)
    played.send("nobody hears this")
    played.place(1)
    played.packet(packets.LEAVE, 1, 1, "room", 7)
    played.packet(packets.DATA, 1, 1, "neither this")
    played.group("nor this")
    del played.connections[1]
    played.deliveries.discard(played.upstream)
    assert played.obeyed == ["room"]
    assert played.counters["dropped.push_not_open"] == 2 and not played.deliveries.held


async def test_between_two_owners_what_is_pushed_goes_straight_out() -> None:
    """P7. An open socket hears its groups while it has no owner; what a replaced instance has published waits for nothing."""
    played = Played()
    played.upstream.connection.owner = None
    played.upstream.connection._next_epoch()
    played.group("another's")
    played.group("of the last instance", count=9, epoch=1)
    played.send("to the channel")
    assert played.heard == ["another's", "of the last instance", "to the channel"]


async def test_the_last_words_of_a_dead_owner_wait_for_nothing() -> None:
    """P6. They are obeyed before its connections are judged."""
    played = Played()
    for count in (1, 2, 3):
        played.place(count)
        played.packet(packets.DATA, 1, 1, f"behind {count}")
    played.deliveries.owner_lost(played.upstream)
    assert played.heard == ["behind 1", "behind 2", "behind 3"] and not played.deliveries.held


async def test_what_is_read_twice_is_pushed_once() -> None:
    """P1. A batch whose outcome was unknown comes again."""
    played = Played()
    for _ in range(2):
        played.send("mine", count=1)
        played.group("own", count=2)
        played.place(2)
    played.send("anybody's")
    played.send("anybody's")
    assert played.heard.count("mine") == 1 and played.heard.count("anybody's") == 2
    assert not played.deliveries.held


async def test_an_exchange_over_http_is_no_member_and_that_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """P5, P12. It knows no messages: each is counted, and one line names the group."""
    played = Played(kind="http", accepted=False)
    for _ in range(10):
        played.group("b")
        played.send("a")
    assert played.heard == [] and not played.deliveries.held
    assert played.counters["dropped.push_to_http"] == 20
    assert caplog.text.count("dropped a message to group room: interface.000000000001!1 is an HTTP exchange") == 1


async def test_what_is_pushed_before_an_event_stream_begins_comes_right_behind_its_start() -> None:
    """P1, P10. Who joins a group and then reads what there is misses nothing; what the owner sends next comes after it."""
    played = Played(kind="http", accepted=False)
    played.event("first")
    played.event("second")
    assert played.heard == []
    played.respond(EVENTS, b"greeting")
    assert played.heard == ["start", "first", "second", "greeting"] and not played.deliveries.held
    played.event("third")
    assert played.heard[-1] == "third" and not played.counters


async def test_the_own_messages_of_an_event_stream_keep_their_order() -> None:
    """P1. As a WebSocket's: each of the two ways waits for the other."""
    played = Played(kind="http", accepted=False)
    played.respond(EVENTS)
    played.event("own", count=1)
    played.event("another's")
    assert played.heard == ["start"]
    played.place(1)
    played.place(2)
    played.packet(packets.DATA, 1, 1, "behind the second")
    assert played.heard == ["start", "own", "another's"]
    played.event("second", count=2)
    assert played.heard == ["start", "own", "another's", "second", "behind the second"]


async def test_what_waits_for_a_response_that_is_no_event_stream_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    """P5, P12. Each is counted, and so is what comes later."""
    played = Played(kind="http", accepted=False)
    for _ in range(3):
        played.event("x")
    played.respond(b"text/html", b"page")
    assert played.heard == ["start", "page"] and not played.deliveries.held
    played.event("x")
    assert played.counters["dropped.push_to_http"] == 4
    assert caplog.text.count("dropped a message to group room: interface.000000000001!1 is an HTTP exchange") == 1


async def test_what_waits_for_an_event_stream_is_bounded() -> None:
    """P5. The newest is dropped and counted."""
    played = Played(kind="http", accepted=False)
    for _ in range(20):
        played.event("x" * 500)
    played.respond(EVENTS)
    assert 1 < len(played.heard) < 10
    assert played.counters["dropped.push_before_accept"] + len(played.heard) == 21


async def test_a_websocket_gets_nothing_that_is_for_an_event_stream() -> None:
    """P12. Before its accept nothing of that kind is kept for it."""
    played = Played(accepted=False)
    played.event("x")
    assert played.counters["dropped.push_to_websocket"] == 1 and not played.deliveries.held


async def test_an_excluded_instance_does_not_wait_for_its_own_message() -> None:
    """P1. It comes nonetheless, and only notes that: the packets behind its place go on, in their order behind earlier ones."""
    played = Played()
    played.place(1)
    played.packet(packets.DATA, 1, 1, "behind the first")
    played.place(2)
    played.packet(packets.DATA, 1, 1, "behind the second")
    played.group("first", count=1)
    excluded = PushedMessage({"type": "websocket.send", "text": "second"}, "room", (1, 1, 2), frozenset((1,)))
    played.deliveries.push(1, excluded)
    assert played.heard == ["first", "behind the first", "behind the second"]
    assert not played.deliveries.held and not played.counters
