"""When `serve` gives up. No process, no clock."""

from __future__ import annotations

import pytest

from towpath.fleet.startup import StartupMonitor
from towpath.supervisord.process import Process


@pytest.mark.parametrize(
    ("state", "cannot_start", "loaded", "fails"),
    [
        ("RUNNING", False, False, False),
        ("STARTING", True, False, False),  # that was its last life
        ("BACKOFF", False, True, False),  # supervisord tries again
        ("BACKOFF", False, False, True),  # what it is to serve cannot be loaded
        ("BACKOFF", True, True, True),
        ("EXITED", True, True, True),
        ("EXITED", False, True, True),  # it lived for so long that supervisord would try for ever
        ("FATAL", False, True, True),
    ],
)
def test_the_beginning_fails_when_trying_again_cannot_help(
    state: str, cannot_start: bool, loaded: bool, fails: bool
) -> None:
    """A process may say "I cannot start as I was told to"; any other end in its first second may be bad luck, until supervisord
    gives up, once its application has been loaded."""
    process = Process(name="worker-0", state=state, cannot_start=cannot_start, loaded=loaded)
    beginning = StartupMonitor()
    looks = [beginning.failure({"worker-0": process}, ["worker-0"]) for _ in range(2)]
    assert bool(looks[-1]) is fails


def test_the_reason_is_told_if_the_process_said_it() -> None:
    """supervisord knows only that it has gone."""
    process = Process(name="worker-0", state="BACKOFF", cannot_start=True, reason="no database")
    failed = StartupMonitor().failure({"worker-0": process}, ["worker-0"])
    assert failed is not None and failed.failure_sentence == "worker-0 could not start: no database"


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
    beginning = StartupMonitor()
    assert beginning.failure({"worker-0": Process(name="worker-0", state="RUNNING", pid=7)}, ["worker-0"]) is None
    assert beginning.failure({"worker-0": Process(name="worker-0", state="RUNNING", pid=7)}, ["worker-0"]) is None
    beginning.note_log(line)
    looks = [
        beginning.failure({"worker-0": Process(name="worker-0", state="STARTING", pid=8)}, ["worker-0"])
        for _ in range(2)
    ]
    assert looks[-1] is not None and looks[-1].failure_sentence.startswith(sentence)


def test_how_a_process_left_is_waited_for_until_the_next_look() -> None:
    """supervisord's answer to a question may arrive before what it logged earlier was read."""
    beginning = StartupMonitor()
    seen = {"worker-0": Process(name="worker-0", state="EXITED", end="was ended by a signal")}
    assert beginning.failure(seen, ["worker-0"]) is None
    beginning.note_log(b"WARN exited: worker-0 (terminated by SIGSEGV; not expected)\n")
    failed = beginning.failure(seen, ["worker-0"])
    assert failed is not None and failed.failure_sentence == "worker-0 was ended by SIGSEGV while it started"


def test_whoever_took_connections_has_started_whatever_becomes_of_it() -> None:
    """Others may start for a minute still, and the first request may be one that kills."""
    beginning = StartupMonitor()
    assert (
        beginning.failure({"worker-0": Process(name="worker-0", state="RUNNING", pid=7)}, ["worker-0"], frozenset({7}))
        is None
    )
    beginning.note_log(b"WARN exited: worker-0 (terminated by SIGKILL; not expected)\n")
    looks = [
        beginning.failure({"worker-0": Process(name="worker-0", state="RUNNING", pid=8)}, ["worker-0"])
        for _ in range(2)
    ]
    assert looks == [None, None]
