"""When `serve` gives up. No process, no clock."""

from __future__ import annotations

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
        ("EXITED", False, False),
        ("FATAL", False, True),
    ],
)
def test_the_beginning_fails_when_trying_again_cannot_help(state: str, cannot_start: bool, fails: bool) -> None:
    """A process may say "I cannot start as I was told to"; any other end may be bad luck, until supervisord gives up."""
    process = Process("worker-0", state, cannot_start=cannot_start)
    assert bool(keeper.failure({"worker-0": process}, ["worker-0"])) is fails


def test_the_reason_is_told_if_the_process_said_it() -> None:
    """supervisord knows only that it has gone."""
    process = Process("worker-0", "BACKOFF", cannot_start=True, sentence="no database")
    assert keeper.failure({"worker-0": process}, ["worker-0"]) == "worker-0 could not start: no database"
