"""Closing evenly. No clock, no socket."""

from __future__ import annotations

from worker.lifecycle.drain_pacing import DrainPacing


def test_they_go_evenly_and_at_the_end_all_have_gone() -> None:
    """P7. So that their clients do not come back all at once."""
    pacing, left, gone = DrainPacing(), 100, []
    for tenths in range(10, -1, -1):
        gone.append(pacing.due(left, tenths / 10))
        left -= gone[-1]
    assert gone == [0] + [10] * 10


def test_who_goes_by_himself_leaves_more_time_to_the_others() -> None:
    """Half of them have gone before half of the time is over: nobody has to go until then."""
    pacing = DrainPacing()
    assert pacing.due(100, 1.0) == 0
    assert pacing.due(50, 0.6) == 0
    assert pacing.due(50, 0.5) == 0
    assert pacing.due(50, 0.4) == 10


def test_when_the_time_is_over_all_go() -> None:
    """Also where there was no look in time, and where nobody is left."""
    assert DrainPacing().due(7, -0.5) == 7
    assert DrainPacing().due(0, 0.5) == 0
