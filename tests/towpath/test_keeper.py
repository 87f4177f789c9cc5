"""When `serve` gives up, and how workers are replaced. No process, no clock."""

from __future__ import annotations

import pytest

from towpath import keeper
from towpath.keeper import Process, Replacement, Step

SLOTS = ["worker-0", "worker-1", "worker-2", "worker-3"]


def seen(**states: str) -> dict[str, Process]:
    """worker_0="RUNNING" and so on; the number is also the process's."""
    return {
        name.replace("_", "-"): Process(name.replace("_", "-"), state, pid=int(name[-1]) + 1)
        for name, state in states.items()
    }


OLD_SERVE = {"worker_0": "RUNNING", "worker_1": "RUNNING"}


@pytest.mark.parametrize(
    ("state", "cannot_start", "fails"),
    [
        ("RUNNING", False, False),
        ("STARTING", True, False),  # that was its last life
        ("BACKOFF", False, False),  # supervisord tries again
        ("BACKOFF", True, True),
        ("EXITED", True, True),
        ("EXITED", False, False),
        ("FATAL", False, True),
    ],
)
def test_the_beginning_fails_when_trying_again_cannot_help(state: str, cannot_start: bool, fails: bool) -> None:
    """A process may say "I cannot start as I was told to"; any other end may be bad luck, until supervisord gives up."""
    process = Process("worker-0", state, cannot_start=cannot_start)
    assert bool(keeper.failure({"worker-0": process}, ["worker-0"])) is fails


def test_new_workers_serve_before_the_old_ones_leave() -> None:
    """First the new, then the old: nobody waits for a worker in between."""
    replacement = Replacement(SLOTS)
    replacement.begin()
    assert replacement.advance(seen(**OLD_SERVE), frozenset({1, 2})).start == ("worker-2", "worker-3")
    starting = seen(**OLD_SERVE, worker_2="STARTING", worker_3="STARTING")
    assert replacement.advance(starting, frozenset({1, 2})) == keeper.NOTHING
    assert replacement.advance(starting, frozenset({1, 2, 3})) == keeper.NOTHING
    assert replacement.advance(starting, frozenset({1, 2, 3, 4})).stop == ("worker-0", "worker-1")
    assert (replacement.step, replacement.current) == (Step.IDLE, ["worker-2", "worker-3"])


def test_the_old_workers_stay_when_the_new_ones_cannot_start() -> None:
    """A mistake in the code costs nobody a connection."""
    replacement = Replacement(SLOTS)
    replacement.begin()
    replacement.advance(seen(**OLD_SERVE), frozenset({1, 2}))
    commands = replacement.advance(seen(**OLD_SERVE, worker_2="FATAL", worker_3="RUNNING"), frozenset({1, 2, 4}))
    assert commands.stop == ("worker-2", "worker-3")
    assert (replacement.step, replacement.wanted) == (Step.IDLE, ["worker-0", "worker-1"])


def test_slots_that_are_still_being_left_are_waited_for() -> None:
    """A worker that drains keeps its slot until it has gone."""
    replacement = Replacement(SLOTS)
    replacement.begin()
    assert replacement.advance(seen(**OLD_SERVE, worker_2="STOPPING"), frozenset()) == keeper.NOTHING
    assert replacement.advance(seen(**OLD_SERVE, worker_2="STOPPED"), frozenset()).start


def test_a_change_in_the_middle_of_a_replacement_leads_to_another() -> None:
    """The last change is always served in the end."""
    replacement = Replacement(SLOTS)
    replacement.begin()
    replacement.advance(seen(**OLD_SERVE), frozenset())
    replacement.begin()
    replacement.advance(seen(worker_2="RUNNING", worker_3="RUNNING"), frozenset({3, 4}))
    assert replacement.step is Step.CLEARING
