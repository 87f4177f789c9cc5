"""When a worker is taken for frozen. No process, no clock."""

from __future__ import annotations

import pytest

from towpath.fleet.lease_watch import MOVES, REPORTED_AFTER_S, LeaseAbsence, LeaseStage, LeaseWatch, Verdict
from towpath.fleet.slot import START_TIMEOUT_S

INTERFACE, OTHER, WORKER = 1, 2, 3
ALL = frozenset({INTERFACE, WORKER})
TIMEOUT_S = 60.0


class Serve:
    """One interface server and one worker, which have their leases at the time 0."""

    def __init__(self, timeout_s: float = TIMEOUT_S) -> None:
        self.watch = LeaseWatch(timeout_s)
        self.said: list[str] = []
        assert self.poll(0.0, ALL) == Verdict()

    def poll(self, now: float, ready: frozenset[int], pid: int = WORKER) -> Verdict:
        verdict = self.watch.poll({"worker-0": pid}, {"interface-0": INTERFACE}, ready, now)
        self.said += (*verdict.warnings, *verdict.recoveries)
        return verdict


def test_a_worker_without_a_lease_is_told_and_later_killed_once() -> None:
    """What is killed may take its time to go: the report is not repeated."""
    serve = Serve()
    for now in (1.0, 1.0 + REPORTED_AFTER_S, 1.0 + TIMEOUT_S - 1):
        assert not serve.poll(now, frozenset({INTERFACE})).kill
    assert serve.poll(1.0 + TIMEOUT_S, frozenset({INTERFACE})).kill == (WORKER,)
    assert serve.poll(2.0 + TIMEOUT_S, frozenset({INTERFACE})) == Verdict()
    assert serve.said == [
        "worker-0 has no lease: it is frozen, or a call in C holds its interpreter; it is killed after 60 s",
        "worker-0 had no lease for 60 s: killed, and started again (--worker-timeout)",
    ]


def test_a_worker_that_goes_on_begins_anew() -> None:
    """A laptop lid, a snapshot of a virtual machine."""
    serve = Serve()
    serve.poll(1.0, frozenset({INTERFACE}))
    serve.poll(50.0, frozenset({INTERFACE}))
    assert serve.poll(51.0, ALL) == Verdict(recoveries=("worker-0 has its lease again",))
    assert not serve.poll(100.0, frozenset({INTERFACE})).kill
    assert serve.said[1:] == ["worker-0 has its lease again"]


@pytest.mark.parametrize("ready", [frozenset(), frozenset({OTHER})])
def test_nobody_is_judged_while_nobody_else_of_the_same_serve_has_a_lease(ready: frozenset[int]) -> None:
    """Redis is away, and all leases are gone. Others may share it, and have theirs already."""
    serve = Serve()
    serve.poll(1.0, frozenset({INTERFACE}))
    assert serve.poll(500.0, ready) == Verdict()
    assert serve.poll(501.0, frozenset({INTERFACE})) == Verdict()


def test_an_interface_server_is_told_of_and_stays() -> None:
    """It has the clients, which may wait; `status` refers to the log, which shows why it is missing."""
    serve = Serve()
    for now in (1.0, 6.0, 1e6):
        assert not serve.poll(now, frozenset({WORKER})).kill
    assert serve.said == ["interface-0 has no lease: it is frozen, or a call in C holds its interpreter"]


def test_a_process_that_starts_has_the_time_of_a_successor() -> None:
    """It may import for a minute. But one that never comes is told and replaced too."""
    serve = Serve()
    assert serve.poll(1.0, frozenset({INTERFACE}), pid=OTHER) == Verdict()
    assert serve.poll(START_TIMEOUT_S, frozenset({INTERFACE}), pid=OTHER) == Verdict()
    assert serve.poll(1.0 + START_TIMEOUT_S, frozenset({INTERFACE}), pid=OTHER).kill == (OTHER,)
    assert serve.said == ["worker-0 was not ready for 150 s: killed, and started again (--worker-timeout)"]


def test_without_a_timeout_it_is_told_and_stays() -> None:
    """`status` says that it is missing, and that the log says why."""
    serve = Serve(timeout_s=0.0)
    serve.poll(1.0, frozenset({INTERFACE}))
    assert not serve.poll(1e6, frozenset({INTERFACE})).kill
    assert serve.said == ["worker-0 has no lease: it is frozen, or a call in C holds its interpreter"]


@pytest.mark.parametrize("after", LeaseStage)
@pytest.mark.parametrize("before", LeaseStage)
def test_each_step_is_taken_once_and_none_after_a_later_one(before: LeaseStage, after: LeaseStage) -> None:
    """A process that was killed is neither killed again nor reported."""
    absence = LeaseAbsence(0.0, before)
    assert absence.reach(after) is (after in MOVES[before])
    assert absence.stage is (after if after in MOVES[before] else before)
    assert not absence.reach(after)
