"""The life of one connection, by its table: no wire, no socket, no clock."""

from __future__ import annotations

from typing import Any

import pytest

from channel_layer.scope import Scope
from interface_server.connection import MOVES, Action, Connection, Happening, Order, State

GET = ({"type": "http", "method": "GET"}, b"", False)
POST = ({"type": "http", "method": "POST"}, b"first", True)
PART = {"type": "http.request", "body": b"part", "more_body": True}


def connection(opening: tuple = GET) -> Connection:
    scope, body, more_body = opening
    return Connection(1, Scope(scope), body, more_body, 1000, False)


def owned(opening: tuple = GET, window: int = 100) -> Connection:
    held = connection(opening)
    assert held.adopted("worker.a", window) is Action.FLOW
    return held


def test_every_way_through_the_table_ends_in_done() -> None:
    """No connection hangs: from each state something that must happen (a wait over, a death, a client gone) leads to the end."""
    for state in (State.QUEUED, State.OVERDUE, State.OWNED):
        assert MOVES[state][Happening.LEFT][0] is State.DONE
    assert MOVES[State.QUEUED][Happening.WAIT_OVER][0] is State.OVERDUE
    assert MOVES[State.OVERDUE][Happening.WAIT_OVER][0] is State.DONE
    assert MOVES[State.OWNED][Happening.OWNER_DIED][0] is State.DONE


@pytest.mark.parametrize("happening", Happening)
def test_late_events_move_nothing(happening: Happening) -> None:
    """What is done is done."""
    done = connection()
    done.happen(Happening.LEFT)
    assert done.happen(happening) is Action.NOTHING
    assert done.state is State.DONE


def test_an_outage_ends_what_runs_and_who_waits_has_a_wait_of_its_own() -> None:
    """P9. Whoever is queued is not asked: the table knows no such move for them."""
    held = owned(POST)
    assert held.happen(Happening.OUTAGE) is Action.END_OUTAGE
    assert held.state is State.DONE


def test_only_the_current_owner_in_the_current_epoch_is_obeyed() -> None:
    """P2. Connection, epoch and sender."""
    held = owned()
    assert held.obeys("worker.a", 1)
    assert not held.obeys("worker.b", 1)
    assert not held.obeys("worker.a", 2)
    held.happen(Happening.NOT_STARTED)
    assert not held.obeys("worker.a", 1)
    held.adopted("worker.b", 100)
    assert held.obeys("worker.b", 2)
    assert not held.obeys("worker.a", 1)


def test_packets_count_from_one_and_what_was_seen_is_dropped() -> None:
    """P1. A batch that was sent again after a doubt harms nobody; a gap ends the connection visibly."""
    held = owned()
    assert [held.order(number) for number in (1, 2, 2, 1, 3, 5)] == [
        Order.NEXT, Order.NEXT, Order.SEEN, Order.SEEN, Order.NEXT, Order.GAP,
    ]  # fmt: skip
    assert held.happen(Happening.GAP) is Action.END_HOLE


def test_an_open_of_unknown_outcome_is_sent_again_only_where_a_second_start_harms_nobody() -> None:
    """P3. GET: next epoch, so that the first is a stray; POST: wait for an adoption that may come."""
    get, post = connection(GET), connection(POST)
    assert get.happen(Happening.UNKNOWN) is Action.OPEN_AGAIN
    assert (get.state, get.epoch) == (State.QUEUED, 2)
    assert post.happen(Happening.UNKNOWN) is Action.AWAIT
    assert (post.state, post.epoch) == (State.OVERDUE, 1)
    assert post.happen(Happening.WAIT_OVER) is Action.END_DIED


def test_what_nobody_has_taken_is_queued_again_whatever_its_method() -> None:
    """P3. Whoever says so has found it in the queue, and taken it out: it was not started. Who has waited long enough is told."""
    post = connection(POST)
    assert post.happen(Happening.NOT_STARTED) is Action.OPEN_AGAIN
    assert (post.state, post.epoch) == (State.QUEUED, 2)
    assert post.happen(Happening.WAIT_OVER) is Action.WITHDRAW
    assert post.happen(Happening.NOT_STARTED) is Action.END_LATE


def test_a_wait_that_is_over_withdraws_and_an_answer_that_was_on_its_way_still_counts() -> None:
    """Whoever took it has said so in our inbox already."""
    held = connection()
    assert held.happen(Happening.WAIT_OVER) is Action.WITHDRAW
    assert held.adopted("worker.a", 100) is Action.FLOW
    assert held.state is State.OWNED
    assert held.happen(Happening.WITHDRAWN) is Action.NOTHING


def test_what_was_forwarded_stands_in_front_again_when_its_owner_did_not_start() -> None:
    """P1, P3. Nothing of a body is lost on the way to the next owner."""
    held = owned(POST)
    assert held.offer({**PART, "body": b"1"}, 90)
    assert held.offer({**PART, "body": b"2"}, 90)
    assert not held.offer({**PART, "body": b"3"}, 90), "the window is used up"
    assert held.happen(Happening.NOT_STARTED) is Action.OPEN_AGAIN
    assert held.opening == (Scope(POST[0]).pieces, *POST[1:])
    held.adopted("worker.b", 1000)
    assert [held.next_waiting()["body"] for _ in range(3)] == [b"1", b"2", b"3"]
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


def test_a_whole_event_may_go_while_any_room_is_left() -> None:
    """P5. And then nothing more until credit comes."""
    held = owned(POST, window=1)
    assert held.offer(PART, 10_000)
    assert not held.room
    assert not held.offer(PART, 68)
    held.outgoing.allow(10_001)
    assert held.next_waiting() == PART
    assert held.next_waiting() is None


@pytest.mark.parametrize("window", ["many", None, []])
def test_an_adoption_whose_window_is_no_number_moves_nothing(window: Any) -> None:
    """P12. It would break at the client's next byte, far from whoever said it; so the next adoption can still come."""
    held = connection(POST)
    with pytest.raises(TypeError):
        held.adopted("worker.odd", window)
    assert held.state is State.QUEUED and held.owner is None
    assert held.adopted("worker.a", 100) is Action.FLOW


def test_a_refusal_that_comes_after_the_adoption_is_without_meaning() -> None:
    """Redis can answer `open` with an error although the entry was added: the adoption is then faster than the answer."""
    held = owned()
    assert held.happen(Happening.UNAVAILABLE) is Action.NOTHING
    assert held.state is State.OWNED
