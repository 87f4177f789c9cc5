"""Leaving without a herd: steps, not seconds."""

from __future__ import annotations

import itertools
import random

import pytest

from interface_server.shutdown_schedule import STEP_MIN, STEP_S, shutdown_steps


@pytest.mark.parametrize("seed", range(5))
def test_everybody_is_ended_once_in_steps_that_fit_the_time(seed: int) -> None:
    """10 000 sockets over 10 s: two hundred steps at most, of about fifty each, all of them before the time is over."""
    steps = list(shutdown_steps(range(10_000), 10.0, random.Random(seed).random))
    assert len(steps) <= 200
    assert max(len(some) for _, some in steps) <= 51
    assert [socket for _, some in steps for socket in some] == list(range(10_000))
    moments = [moment for moment, _ in steps]
    assert moments == sorted(moments)
    assert 0 <= moments[0] and 9.0 < moments[-1] < 10.0


def test_pauses_are_jittered() -> None:
    """Servers that are asked to leave in the same moment do not close theirs in the same moments."""
    one, other = (
        [moment for moment, _ in shutdown_steps(range(1000), 10.0, random.Random(seed).random)] for seed in (1, 2)
    )
    assert not set(one) & set(other)
    pauses = [later - sooner for sooner, later in itertools.pairwise(one)]
    assert min(pauses) < 0.5 * STEP_S < 1.5 * STEP_S < max(pauses)


def test_a_few_hundred_sockets_are_spread_too_and_do_not_take_all_of_the_time() -> None:
    """About a hundred a second, where there is time."""
    steps = list(shutdown_steps(range(131), 15.0, lambda: 0.5))
    assert max(len(some) for _, some in steps) == STEP_MIN
    assert 1.0 < steps[-1][0] < 2.0


def test_a_few_sockets_leave_at_once() -> None:
    """Nobody waits for a herd that there is not."""
    ((moment, some),) = shutdown_steps(range(STEP_MIN), 10.0, lambda: 0.5)
    assert (moment, list(some)) == (0.5 * STEP_S, list(range(STEP_MIN)))
    assert list(shutdown_steps([], 10.0, lambda: 0.5)) == []
    assert [(moment, len(some)) for moment, some in shutdown_steps(range(500), 0.0, lambda: 0.5)] == [(0.0, 500)]
