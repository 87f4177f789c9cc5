"""Connections that wait for a worker, and until when: no clock, no Redis."""

from __future__ import annotations

from interface_server.queue.queue_timeouts import QueueTimeouts


def waits() -> QueueTimeouts:
    return QueueTimeouts(queue_s=30, resume_s=600, lease_ttl_s=5)


def test_whoever_waited_long_enough_is_due_and_then_waits_for_an_answer_that_may_come() -> None:
    """First withdrawn, and two lease TTLs later given up."""
    timeouts = waits()
    timeouts.begin(1, resumed=False, now=0)
    timeouts.begin(2, resumed=True, now=0)
    assert timeouts.due(29) == []
    assert timeouts.due(30) == [1]
    assert timeouts.due(39) == []
    assert timeouts.due(40) == [1]
    assert timeouts.due(599) == []
    assert timeouts.due(600) == [2]
    assert len(timeouts) == 0


def test_who_is_queued_again_stands_behind_all_others() -> None:
    """The order is that of the ends; else one in front would hide those behind."""
    timeouts = waits()
    timeouts.begin(1, resumed=False, now=0)
    timeouts.begin(2, resumed=False, now=10)
    timeouts.begin(1, resumed=False, now=20)
    assert timeouts.queued() == [2, 1]
    assert timeouts.due(40) == [2]
    assert timeouts.due(50) == [2, 1]


def test_an_unknown_outcome_is_known_soon_and_whoever_is_taken_is_due_no_more() -> None:
    """One lease TTL and two seconds."""
    timeouts = waits()
    timeouts.begin(1, resumed=False, now=0)
    timeouts.await_outcome(1, now=1)
    assert timeouts.queued() == []
    timeouts.begin(2, resumed=True, now=0)
    timeouts.end(2)
    assert timeouts.due(8) == [1]
    assert timeouts.due(1000) == []


def test_the_beginning_of_a_wait_is_known_while_it_lasts() -> None:
    """Metrics show how long a connection has waited when a worker takes it."""
    timeouts = QueueTimeouts(30.0, 600.0, 5.0)
    timeouts.begin(1, False, 100.0)
    timeouts.begin(2, True, 101.0)
    assert [timeouts.began_at(number) for number in (1, 2, 3)] == [100.0, 101.0, None]
    timeouts.end(1)
    assert timeouts.began_at(1) is None
