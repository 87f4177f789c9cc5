"""When a worker that was asked to leave may be here no more. No process, no clock."""

from __future__ import annotations

from channel_layer.process.stop_requests import SIGINT, SIGTERM
from worker.lifecycle.shutdown_deadline import BLOCKED_PROBES, SECOND_REQUEST_S, SHUTDOWN_S, ShutdownDeadline

GRACEFUL_S = 10.0
SIGNALS = (SIGTERM, SIGINT, SIGINT)


def deadline_after(*asked_at: float, blocked: bool = False) -> ShutdownDeadline:
    """Asked at these moments; by now its loop turns, or does not."""
    it = ShutdownDeadline(graceful_s=GRACEFUL_S)
    for number, when in zip(SIGNALS, asked_at, strict=False):
        it.request_stop(number, when)
    for _ in range(BLOCKED_PROBES + 1):
        it.probe_sent()
    if not blocked:
        it.probe_answered()
    return it


def test_whoever_was_not_asked_stays() -> None:
    """However long the application holds the loop: slow is not dead."""
    assert not deadline_after(blocked=True).overdue(1e9)


def test_the_graceful_time_is_the_whole_of_it_for_a_blocked_loop() -> None:
    """P7. It may let go in time, and then what is under way ends as it should."""
    it = deadline_after(100.0, blocked=True)
    assert not it.overdue(109.9)
    assert it.overdue(110.0) == "10 s are over and its event loop is blocked"
    it.probe_answered()
    assert not it.overdue(110.0)


def test_a_loop_that_turns_has_a_moment_more_for_the_shutdown() -> None:
    """Whoever manages processes kills after 5 s more, and would leave no word of why."""
    it = deadline_after(100.0)
    assert not it.overdue(109.9 + SHUTDOWN_S)
    assert it.overdue(110.0 + SHUTDOWN_S) == "10 s and 4 more are over, and its application has not ended"
    assert SHUTDOWN_S < 5


def test_asked_twice_means_now() -> None:
    """A loop that turns has a moment for its last words, one that does not has none. More signals give no more time."""
    assert (
        deadline_after(100.0, 101.0, blocked=True).overdue(101.0) == "it was asked twice and its event loop is blocked"
    )
    it = deadline_after(100.0, 101.0, 101.5)
    assert not it.overdue(100.9 + SECOND_REQUEST_S)
    assert it.overdue(101.0 + SECOND_REQUEST_S) == "it was asked twice"


def test_a_process_that_was_stopped_is_not_taken_for_a_blocked_one() -> None:
    """Time has gone by, and the loop was never looked at: it is given its moment."""
    it = ShutdownDeadline(graceful_s=GRACEFUL_S)
    it.request_stop(SIGTERM, 100.0)
    assert not it.overdue(111.0)


def stuck(looks: int, serving: bool = True) -> ShutdownDeadline:
    """Nobody has asked it to leave, and its loop has left so many looks unanswered. The limit is 10 s."""
    it = ShutdownDeadline(graceful_s=GRACEFUL_S, stuck_s_max=10.0, serving=serving)
    for _ in range(looks):
        it.probe_sent()
    return it


def test_a_worker_whose_loop_is_stuck_leaves_though_nobody_has_asked_it() -> None:
    """All that it has in hand waits. A loop that turns once begins anew."""
    assert not stuck(10).overdue(0.0)
    assert stuck(11).overdue(0.0) == "its event loop has been blocked for 10 s (--worker-timeout)"
    it = stuck(10)
    it.probe_answered()
    it.probe_sent()
    assert not it.overdue(0.0)


def test_what_a_worker_starts_with_may_take_its_time() -> None:
    """Imports and the application's startup have limits of their own: a model may take minutes to load."""
    assert stuck(1, serving=False).probe_interval_s is None
    assert not stuck(1000, serving=False).overdue(1e9)


def test_a_short_limit_is_looked_at_more_often() -> None:
    """On an overloaded machine one probe_sent or two may stay unanswered for a moment."""
    assert ShutdownDeadline(graceful_s=GRACEFUL_S, stuck_s_max=1.0, serving=True).probe_interval_s == 0.25
    assert ShutdownDeadline(graceful_s=GRACEFUL_S, stuck_s_max=120.0, serving=True).probe_interval_s == 1.0
    assert ShutdownDeadline(graceful_s=GRACEFUL_S, stuck_s_max=0.0, serving=True).probe_interval_s is None
