"""The life of one connection, by its table: no Redis, no socket, no clock."""

from __future__ import annotations

from typing import Any

import pytest

from channel_layer.protocol.events import Event
from channel_layer.protocol.link import Order
from channel_layer.protocol.packets import Packet
from channel_layer.protocol.scope import Scope
from interface_server.connections.acceptance import ResumePolicy
from interface_server.connections.connection import Connection
from interface_server.connections.transitions import AFTER_COMPLETE, MOVES, Action, ConnectionState, Trigger

GET = ({"type": "http", "method": "GET"}, b"", False)
SOCKET = ({"type": "websocket"}, b"", False)
POST = ({"type": "http", "method": "POST"}, b"first", True)
PART = {"type": "http.request", "body": b"part", "more_body": True}


def connection(opening: tuple = GET) -> Connection:
    scope, body, more_body = opening
    return Connection(1, (Scope(scope), body, more_body, False), 1000)


def owned(opening: tuple = GET, window: int = 100) -> Connection:
    held = connection(opening)
    assert held.adopt("worker.a", window) is Action.FLOW
    return held


def event_of(packet: Packet | None) -> Event:
    """The one event in a packet of data."""
    assert packet is not None
    (event,) = packet[4]
    return event


def test_every_way_through_the_table_ends_in_done() -> None:
    """No connection hangs: from each state something that must happen (a wait over, a death, a client gone) leads to the end."""
    for state in (ConnectionState.QUEUED, ConnectionState.OVERDUE, ConnectionState.OWNED):
        assert MOVES[state][Trigger.LEFT][0] is ConnectionState.DONE
    assert MOVES[ConnectionState.QUEUED][Trigger.WAIT_OVER][0] is ConnectionState.OVERDUE
    assert MOVES[ConnectionState.OVERDUE][Trigger.WAIT_OVER][0] is ConnectionState.DONE
    assert MOVES[ConnectionState.OWNED][Trigger.OWNER_DIED][0] is ConnectionState.DONE


@pytest.mark.parametrize("trigger", Trigger)
def test_late_events_move_nothing(trigger: Trigger) -> None:
    """What is done is done."""
    done = connection()
    done.transition(Trigger.LEFT)
    assert done.transition(trigger) is Action.NOTHING
    assert done.state is ConnectionState.DONE


def test_an_outage_ends_what_runs_and_who_waits_has_a_wait_of_its_own() -> None:
    """P9. Whoever is queued is not asked: the table knows no such move for them."""
    held = owned(POST)
    assert held.transition(Trigger.OUTAGE) is Action.END_OUTAGE
    assert held.state is ConnectionState.DONE


def test_only_the_current_owner_in_the_current_epoch_is_obeyed() -> None:
    """P2. Connection, epoch and sender."""
    held = owned()
    assert held.is_from_owner("worker.a", 1)
    assert not held.is_from_owner("worker.b", 1)
    assert not held.is_from_owner("worker.a", 2)
    held.transition(Trigger.NOT_STARTED)
    assert not held.is_from_owner("worker.a", 1)
    held.adopt("worker.b", 100)
    assert held.is_from_owner("worker.b", 2)
    assert not held.is_from_owner("worker.a", 1)


def test_packets_count_from_one_and_what_was_seen_is_dropped() -> None:
    """P1. A batch that was sent again after a resync harms nobody; a lost packet ends the connection visibly."""
    held = owned()
    assert [held.order(number) for number in (1, 2, 2, 1, 3, 5)] == [
        Order.NEXT, Order.NEXT, Order.SEEN, Order.SEEN, Order.NEXT, Order.LOST,
    ]  # fmt: skip
    assert held.transition(Trigger.PACKETS_LOST) is Action.END_PACKETS_LOST


@pytest.mark.parametrize("state", ConnectionState)
def test_the_short_way_of_a_complete_response_and_an_error_of_ours_are_in_the_table(state: ConnectionState) -> None:
    """A connection whose table has no place for a trigger is aborted, whatever its state; `complete` takes no other way than the table."""
    assert MOVES[state][Trigger.ABORTED][0] is ConnectionState.DONE
    assert MOVES[ConnectionState.OWNED][Trigger.COMPLETE] == (AFTER_COMPLETE, Action.NOTHING)


def test_an_open_of_unknown_outcome_is_sent_again_only_where_a_second_start_harms_nobody() -> None:
    """P3. GET: next epoch, so that what answers the first is stale; POST: wait for an adoption that may come."""
    get, post = connection(GET), connection(POST)
    assert get.transition(Trigger.UNKNOWN) is Action.OPEN_AGAIN
    assert (get.state, get.epoch) == (ConnectionState.QUEUED, 2)
    assert post.transition(Trigger.UNKNOWN) is Action.AWAIT
    assert (post.state, post.epoch) == (ConnectionState.OVERDUE, 1)
    assert post.transition(Trigger.WAIT_OVER) is Action.END_UNKNOWN


def test_what_nobody_has_taken_is_queued_again_whatever_its_method() -> None:
    """P3. Whoever says so has found it in the queue, and taken it out: it was not started. Who has waited long enough is told."""
    post = connection(POST)
    assert post.transition(Trigger.NOT_STARTED) is Action.OPEN_AGAIN
    assert (post.state, post.epoch) == (ConnectionState.QUEUED, 2)
    assert post.transition(Trigger.WAIT_OVER) is Action.WITHDRAW
    assert post.transition(Trigger.NOT_STARTED) is Action.END_LATE


def test_a_wait_that_is_over_withdraws_and_an_answer_that_was_on_its_way_still_counts() -> None:
    """Whoever took it has said so in our inbox already."""
    held = connection()
    assert held.transition(Trigger.WAIT_OVER) is Action.WITHDRAW
    assert held.adopt("worker.a", 100) is Action.FLOW
    assert held.state is ConnectionState.OWNED
    assert held.transition(Trigger.WITHDRAWN) is Action.NOTHING


def test_what_was_forwarded_stands_in_front_again_when_its_owner_did_not_start() -> None:
    """P1, P3. Nothing of a body is lost on the way to the next owner."""
    held = owned(POST)
    assert held.offer({**PART, "body": b"1"}, 90)
    assert held.offer({**PART, "body": b"2"}, 90)
    assert not held.offer({**PART, "body": b"3"}, 90), "the window is used up"
    assert held.transition(Trigger.NOT_STARTED) is Action.OPEN_AGAIN
    assert held.opening == (Scope(POST[0]).pieces, *POST[1:])
    held.adopt("worker.b", 1000)
    assert [event_of(held.next_waiting())["body"] for _ in range(3)] == [b"1", b"2", b"3"]
    assert held.next_waiting() is None
    assert held.sent == 3


def test_once_the_instance_has_shown_life_nothing_is_kept() -> None:
    """P5. Memory for a second opening is held only as long as there may be one."""
    held = owned(POST)
    held.offer(PART, 68)
    held.takes()
    assert held.opening is None and held.kept is None
    held.offer(PART, 10)
    assert held.kept is None


def test_a_whole_event_may_go_while_any_credit_is_left() -> None:
    """P5. And then nothing more until credit comes."""
    held = owned(POST, window=1)
    assert held.offer(PART, 10_000)
    assert not held.may_read
    assert not held.offer(PART, 68)
    held.outgoing.allow(10_001)
    assert event_of(held.next_waiting()) == PART
    assert held.next_waiting() is None


@pytest.mark.parametrize("window", ["many", None, []])
def test_an_adoption_whose_window_is_no_number_moves_nothing(window: Any) -> None:
    """P12. It would break at the client's next byte, far from whoever said it; so the next adoption can still come."""
    held = connection(POST)
    with pytest.raises(TypeError):
        held.adopt("worker.odd", window)
    assert held.state is ConnectionState.QUEUED and held.owner is None
    assert held.adopt("worker.a", 100) is Action.FLOW


def test_a_refusal_that_comes_after_the_adoption_is_without_meaning() -> None:
    """Redis can answer `open` with an error although the entry was added: the adoption is then faster than the answer."""
    held = owned()
    assert held.transition(Trigger.UNAVAILABLE) is Action.NOTHING
    assert held.state is ConnectionState.OWNED


# -- deaths and hand-off


def socket_of(resumable: bool | str) -> Connection:
    """An open WebSocket whose application has asked for this."""
    held = owned(SOCKET)
    assert held.filter_events([{"type": "websocket.accept", "resumable": resumable}])
    return held


def test_who_has_shown_nothing_to_its_client_is_opened_again_at_most_twice() -> None:
    """P3, P6. A request that kills its workers must not kill them all; what must not start twice is not started twice."""
    get, post = owned(GET), owned(POST)
    for epoch in (2, 3):
        assert get.owner_died(100.0) is Action.OPEN_AGAIN
        assert (get.state, get.epoch) == (ConnectionState.QUEUED, epoch)
        get.adopt("worker.b", 100)
    assert get.owner_died(1000.0) is Action.END_DIED
    assert post.owner_died(100.0) is Action.END_DIED


def test_who_has_shown_something_is_not_opened_again() -> None:
    """P6. Half a response cannot be taken back."""
    held = owned(GET)
    held.drop_opening()
    assert held.owner_died(100.0) is Action.END_DIED


@pytest.mark.parametrize("resumable", [False, True])
def test_an_open_websocket_ends_with_its_worker_unless_it_asked_for_more(resumable: bool) -> None:
    """P6. Resumable means a planned change; a dead worker takes along what nobody knows."""
    assert socket_of(resumable).owner_died(100.0) is Action.END_DIED


def test_a_websocket_that_asked_for_it_outlives_two_deaths_a_minute_and_nothing_is_repeated() -> None:
    """P6. What the dead instance had been given is given to nobody else; what had to wait is."""
    held = socket_of("crash")
    for number, at in enumerate((100.0, 159.0, 165.0), 2):
        held.outgoing.allow(1)
        assert held.offer({"type": "websocket.receive", "text": "taken along"}, 75)
        assert held.owner_died(at) is Action.OPEN_AGAIN
        assert (held.epoch, held.waiting) == (number, [])
        held.adopt("worker.b", 100)
        held.filter_events([{"type": "websocket.accept", "resumable": "crash"}])
    assert held.owner_died(166.0) is Action.END_DIED


def test_a_hand_off_puts_what_was_not_consumed_in_front_of_what_waits() -> None:
    """P1, P7. The next instance goes on behind the last event that this one has received."""
    held = socket_of(True)
    assert [bool(held.offer({"type": "websocket.receive", "text": text}, 50)) for text in "abcd"] == [
        True,
        True,
        False,
        False,
    ]
    assert held.hand_off(consumed=1) is Action.OPEN_AGAIN
    held.adopt("worker.b", 1000)
    texts = []
    while (packet := held.next_waiting()) is not None:
        texts.append(event_of(packet)["text"])
    assert texts == ["b", "c", "d"]


def test_between_two_owners_a_socket_is_read_up_to_a_window_and_keeps_its_order() -> None:
    """P5, P7. What nobody has consumed counts; a client that is not read would get no answer to its pings."""
    held = socket_of(True)
    held.offer({"type": "websocket.receive", "text": "not consumed"}, 600)
    held.hand_off(consumed=0)
    assert held.may_read
    assert not held.offer({"type": "websocket.receive", "text": "early"}, 399)
    assert held.may_read, "the window is 1000 bytes"
    held.offer({"type": "websocket.receive", "text": "the last that fits"}, 1)
    assert not held.may_read
    held.transition(Trigger.UNKNOWN)
    assert (held.epoch, held.may_read) == (3, False), "another epoch makes no room"
    held.adopt("worker.b", 1000)
    texts = []
    while (packet := held.next_waiting()) is not None:
        texts.append(event_of(packet)["text"])
    assert texts == ["not consumed", "early", "the last that fits"]
    assert held.waiting_bytes == 0


def test_only_an_open_socket_between_two_owners_has_last_words() -> None:
    """P1, P3. An owner is sent everything at once; who has not been let in has said nothing that anybody promised to keep."""
    held, queued = socket_of(True), connection(POST)
    held.offer({"type": "websocket.receive", "text": "not consumed"}, 600)
    queued.offer(PART, 68)
    assert not held.has_undelivered_events and not queued.has_undelivered_events
    held.hand_off(consumed=0)
    assert held.has_undelivered_events
    held.adopt("worker.b", 1000)
    held.filter_events([{"type": "websocket.accept", "resumable": True}])
    assert held.next_waiting() is not None
    held.hand_off(consumed=1)
    assert not held.has_undelivered_events, "nothing waits"


@pytest.mark.parametrize("opening", [POST, SOCKET])
def test_who_has_not_been_let_in_is_not_read_before_it_is_owned(opening: tuple) -> None:
    """P5. Nobody has granted it anything yet."""
    held = connection(opening)
    assert not held.may_read
    held.adopt("worker.a", 100)
    assert held.may_read
    held.owner_died(100.0)
    assert not held.may_read


def test_who_did_not_ask_for_it_or_was_not_accepted_by_this_instance_is_not_handed_off() -> None:
    """P7. It ends as if its worker had said that its time is over."""
    assert socket_of(False).hand_off(consumed=0) is Action.END_AS_REPORTED
    held = socket_of(True)
    held.hand_off(consumed=0)
    held.adopt("worker.b", 100)
    assert held.hand_off(consumed=0) is Action.END_AS_REPORTED


@pytest.mark.parametrize("resumable", [True, "crash"])
def test_a_second_accept_of_one_instance_changes_nothing(resumable: object) -> None:
    """P7. What it was opened with is gone after the first: a hand-off for the sake of the second could not open it again."""
    held = socket_of(False)
    assert held.opening is None
    assert held.filter_events([{"type": "websocket.accept", "resumable": resumable}]) == []
    assert held.resume_policy is ResumePolicy.NEVER
    assert held.hand_off(consumed=0) is Action.END_AS_REPORTED


def test_the_second_accept_is_swallowed_and_the_state_is_kept() -> None:
    """P7. The client has one accept already; what is left for the next instance is not for the client."""
    held, said = socket_of(True), {"type": "websocket.send", "text": "hello"}
    assert held.filter_events([{"type": "towpath.state", "state": 41}, said]) == [said]
    assert held.state_blob == 41
    held.hand_off(consumed=0)
    held.adopt("worker.b", 100)
    assert held.filter_events([{"type": "websocket.accept", "resumable": True}, said]) == [said]
