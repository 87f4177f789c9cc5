"""Processes as supervisord sees them: which have failed, which have merely ended once, and the sentence about it."""

from __future__ import annotations

import pytest

from towpath.supervisord.process import Process


@pytest.mark.parametrize(
    ("state", "cannot_start", "failed", "has_ended"),
    [
        ("STARTING", False, False, False),
        ("RUNNING", False, False, False),
        ("STOPPED", False, False, False),
        ("BACKOFF", False, False, True),
        ("BACKOFF", True, True, True),
        ("FATAL", False, True, True),
        ("EXITED", False, True, True),
        ("STARTING", True, False, False),
    ],
)
def test_a_process_has_failed_when_another_try_would_not_help(
    state: str, cannot_start: bool, failed: bool, has_ended: bool
) -> None:
    """BACKOFF alone means that supervisord is about to try again."""
    process = Process(name="worker-0", state=state, cannot_start=cannot_start)
    assert (process.failed, process.has_ended) == (failed, has_ended)


@pytest.mark.parametrize(
    ("process", "sentence"),
    [
        (Process(name="worker-0", state="FATAL"), "worker-0 could not start"),
        (Process(name="worker-0", state="FATAL", end="exited with 1"), "worker-0 exited with 1 while it started"),
        (Process(name="worker-0", state="FATAL", reason="no such module"), "worker-0 could not start: no such module"),
        (
            Process(name="worker-0", state="EXITED", cannot_start=True, reason="no such module", end="exited with 3"),
            "worker-0 could not start: no such module",
        ),
    ],
)
def test_its_own_reason_comes_before_how_it_ended(process: Process, sentence: str) -> None:
    assert process.failure_sentence == sentence
