"""When `serve` gives up. No process, no clock."""

from __future__ import annotations

import itertools

import pytest

from towpath import keeper
from towpath.keeper import Process


@pytest.mark.parametrize(
    ("state", "cannot_start", "fails"),
    [
        ("RUNNING", False, False),
        ("STARTING", True, False),  # that was its last life
        ("BACKOFF", False, False),  # supervisord tries again
        ("BACKOFF", True, True),
        ("EXITED", True, True),
        ("EXITED", False, True),  # it lived for so long that supervisord would try for ever
        ("FATAL", False, True),
    ],
)
def test_the_beginning_fails_when_trying_again_cannot_help(state: str, cannot_start: bool, fails: bool) -> None:
    """A process may say "I cannot start as I was told to"; any other end in its first second may be bad luck, until supervisord
    gives up."""
    process = Process("worker-0", state, cannot_start=cannot_start)
    beginning = keeper.Beginning()
    looks = [beginning.failure({"worker-0": process}, ["worker-0"]) for _ in range(2)]
    assert bool(looks[-1]) is fails


def test_the_reason_is_told_if_the_process_said_it() -> None:
    """supervisord knows only that it has gone."""
    process = Process("worker-0", "BACKOFF", cannot_start=True, sentence="no database")
    assert keeper.Beginning().failure({"worker-0": process}, ["worker-0"]) == "worker-0 could not start: no database"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"WARN exited: worker-0 (exit status 5; not expected)\n", "worker-0 left with exit status 5 while it started"),
        (b"WARN exited: worker-0 (terminated by SIGSEGV (core dumped); not expected)", "worker-0 was ended by SIGSEGV"),
        (b"", "worker-0 ended while it started"),
    ],
)
def test_a_death_between_two_looks_is_told_by_the_number_of_the_process(line: bytes, sentence: str) -> None:
    """It lived for longer than supervisord counts, and lives again: both looks see it running."""
    beginning = keeper.Beginning()
    assert beginning.failure({"worker-0": Process("worker-0", "RUNNING", 7)}, ["worker-0"]) is None
    assert beginning.failure({"worker-0": Process("worker-0", "RUNNING", 7)}, ["worker-0"]) is None
    beginning.hear(line)
    looks = [beginning.failure({"worker-0": Process("worker-0", "STARTING", 8)}, ["worker-0"]) for _ in range(2)]
    assert looks[-1] is not None and looks[-1].startswith(sentence)


def test_how_a_process_left_is_waited_for_until_the_next_look() -> None:
    """supervisord's answer to a question may arrive before what it logged earlier was read."""
    beginning = keeper.Beginning()
    seen = {"worker-0": Process("worker-0", "EXITED", end="was ended by a signal")}
    assert beginning.failure(seen, ["worker-0"]) is None
    beginning.hear(b"WARN exited: worker-0 (terminated by SIGSEGV; not expected)\n")
    assert beginning.failure(seen, ["worker-0"]) == "worker-0 was ended by SIGSEGV while it started"


def test_who_cannot_start_is_tried_after_pauses_that_grow_and_not_for_ever_less() -> None:
    """However long each try takes; who has lived for long in between is tried soon again."""
    retries, tried, now = keeper.Retries(), [], 100.0
    while len(tried) < 6:
        if retries.due(["worker-0"], now):
            tried.append(now)
            now += 20.0  # the import
        now += 0.5
    between = [later - earlier - 20.5 for earlier, later in itertools.pairwise(tried)]
    assert between == [2.0, 4.0, 8.0, 10.0, 10.0]
    now = tried[-1] + 3600
    assert (retries.due(["worker-0"], now), retries.due(["worker-0"], now + 1.0)) == ([], ["worker-0"])


def test_whose_start_failed_through_nobodys_fault_is_tried_at_once_when_that_is_over() -> None:
    """P9. Redis may be away for an hour; then it is back, and no pause that has grown meanwhile is to be waited for."""
    retries = keeper.Retries()
    times = [now for now in range(100) if retries.due(["worker-0"], now)]
    assert times[-1] - times[-2] > 8
    retries.excuse(["worker-0"], 100.0)
    assert retries.due(["worker-0"], 100.0) == ["worker-0"]
    assert (retries.due(["worker-0"], 101.0), retries.due(["worker-0"], 102.0)) == ([], ["worker-0"])


def test_whoever_took_connections_has_started_whatever_becomes_of_it() -> None:
    """Others may start for a minute still, and the first request may be one that kills."""
    beginning = keeper.Beginning()
    assert beginning.failure({"worker-0": Process("worker-0", "RUNNING", 7)}, ["worker-0"], frozenset({7})) is None
    beginning.hear(b"WARN exited: worker-0 (terminated by SIGKILL; not expected)\n")
    looks = [beginning.failure({"worker-0": Process("worker-0", "RUNNING", 8)}, ["worker-0"]) for _ in range(2)]
    assert looks == [None, None]
