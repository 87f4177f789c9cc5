"""The spread of calls over sync threads: put into one where only the interpreter is the limit, and nowhere else."""

from __future__ import annotations

import dataclasses

import pytest

from worker.application.call_spread import (
    AFTER_SLOW_S,
    AFTER_SLOW_S_MAX,
    AFTER_TRIAL_S,
    AFTER_TRIAL_S_MAX,
    INTERVAL_S,
    INTERVAL_S_MAX,
    SOON_S,
    CallSpread,
    Reading,
)


class Process:
    """A worker whose readings are made up: `run` lets one interval pass."""

    def __init__(self) -> None:
        self.spread = CallSpread()
        self.reading = Reading(100.0)
        self.spread.update(self.reading)

    def run(self, cpus=1.0, waited=0.0, calls=1_000, filled=0.5, took_s=INTERVAL_S) -> bool:
        """calls: in a second; filled: calls that run at a time."""
        before = self.reading
        self.reading = dataclasses.replace(
            before,
            now=before.now + took_s,
            cpu_s=before.cpu_s + cpus * took_s,
            cpu_wait_s=before.cpu_wait_s + waited * took_s,
            calls=before.calls + round(calls * took_s),
            calls_s=before.calls_s + filled * took_s,
        )
        self.spread.update(self.reading)
        return self.spread.in_one

    def intervals_until_in_one(self, **rates) -> int:
        for number in range(1, 10_000):
            if self.run(**rates):
                return number
        raise AssertionError("never")


@pytest.fixture
def process():
    return Process()


@pytest.fixture
def in_one(process):
    """A process whose calls take 700 µs in one thread and took 1 ms before."""
    assert process.run(cpus=1.0, calls=1_000)
    assert process.run(cpus=1.0, calls=1_430)
    return process


@pytest.mark.parametrize(("cpus", "waited", "expected"), [(0.9, 0.0, True), (0.5, 0.4, True), (0.8, 0.0, False)])
def test_a_saturated_process_puts_calls_into_one_thread(process, cpus, waited, expected):
    """A CPU that others have meanwhile counts: on a busy machine the interpreter is the limit all the same."""
    assert process.run(cpus=cpus, waited=waited) is expected


def test_calls_that_compute_beside_each_other_stay_spread(process):
    """Where they leave the interpreter to others, several have a CPU each."""
    assert not process.run(cpus=1.8)


def test_calls_that_take_less_cpu_stay_in_one_thread(in_one):
    for _ in range(40):
        assert in_one.run(cpus=1.0, calls=1_000)  # other calls may be dearer: what was saved is known


def test_calls_that_take_as_much_cpu_are_spread_again(process):
    """Then nothing was gained, and a call that waits for something would delay others."""
    assert process.run(cpus=1.0, calls=1_000)
    assert not process.run(cpus=1.0, calls=1_050)


def test_calls_that_wait_for_something_else_are_spread_again(in_one):
    """A database, perhaps: they fill the thread, and the process is not saturated."""
    assert in_one.run(cpus=0.8, filled=0.8)
    assert in_one.run(cpus=1.0, filled=1.0)
    assert not in_one.run(cpus=0.6, filled=1.0)


def test_what_was_in_vain_is_tried_again_after_a_while_that_grows(process):
    """So it costs nothing that could be measured where it never helps."""
    wait_s = AFTER_TRIAL_S
    assert process.run()
    for _ in range(8):
        assert not process.run()
        assert process.intervals_until_in_one() == wait_s / INTERVAL_S
        wait_s = min(AFTER_TRIAL_S_MAX, 2 * wait_s)


def test_after_a_slow_call_all_threads_are_used_for_a_while(in_one):
    in_one.spread.spread(in_one.reading.now)
    assert not in_one.spread.in_one
    assert in_one.intervals_until_in_one() == AFTER_SLOW_S / INTERVAL_S


def test_calls_that_are_slow_now_and_then_keep_all_threads_in_use(in_one):
    """Those that were put into its thread wait for a slow call, so calls are spread before the next one comes."""
    wait_s = AFTER_SLOW_S
    for _ in range(8):
        in_one.spread.spread(in_one.reading.now)
        in_one.spread.spread(in_one.reading.now)  # by each look at the same slow call
        assert in_one.intervals_until_in_one(calls=1_430) == wait_s / INTERVAL_S
        assert in_one.run(calls=2_000)
        wait_s = min(AFTER_SLOW_S_MAX, 2 * wait_s)
    for _ in range(round(SOON_S / INTERVAL_S)):
        assert in_one.run(calls=2_000)
    in_one.spread.spread(in_one.reading.now)
    assert in_one.intervals_until_in_one() == AFTER_SLOW_S / INTERVAL_S


def test_a_slow_call_does_not_shorten_the_while_after_a_trial(process):
    assert process.run()
    assert not process.run()
    process.spread.spread(process.reading.now)
    assert process.intervals_until_in_one() == AFTER_TRIAL_S / INTERVAL_S


@pytest.mark.parametrize("rates", [{"cpus": 0.2}, {"calls": 0}, {"took_s": 1.1 * INTERVAL_S_MAX}, {"cpus": 1.8}])
def test_a_process_with_little_to_do_spreads_calls(in_one, rates):
    """Where it is idle, nothing has to be saved; what was measured long ago says nothing."""
    assert not in_one.run(**rates)
    assert in_one.run(calls=1_000)


def test_an_update_is_due_after_each_interval(process):
    assert not process.spread.is_due(process.reading.now + INTERVAL_S - 0.01)
    assert process.spread.is_due(process.reading.now + INTERVAL_S)
    assert CallSpread().is_due(0.0)
