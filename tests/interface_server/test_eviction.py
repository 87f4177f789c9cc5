"""Leaving without a herd: steps, not seconds."""

from __future__ import annotations

from interface_server.eviction import STEP_MIN, eviction_steps


def test_everybody_is_evicted_once_in_steps_that_fit_the_time() -> None:
    """10 000 sockets over 10 s in steps of 0.1 s: a hundred steps at most, of about a hundred each."""
    steps = list(eviction_steps(range(10_000), 10.0, 0.1))
    assert len(steps) <= 100
    assert max(map(len, steps)) <= 101
    evicted = [socket for step in steps for socket in step]
    assert evicted == list(range(10_000))


def test_a_few_sockets_leave_at_once() -> None:
    """Nobody waits for a herd that there is not."""
    assert len(list(eviction_steps(range(STEP_MIN), 10.0, 0.1))) == 1
    assert list(eviction_steps([], 10.0, 0.1)) == []
    assert [len(step) for step in eviction_steps(range(500), 0.0, 0.1)] == [500]
