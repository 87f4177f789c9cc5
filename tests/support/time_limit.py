"""A test that hangs fails where it hangs, and the tests behind it run.

A plugin for pytest, named in tests/conftest.py. The limit is for hangs alone: tests wait for facts with deadlines of their own
(facts.py). A signal interrupts system calls and locks of the main thread, which runs the tests.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from types import FrameType
from typing import Any

import pytest

#: For one test with its fixtures. The longest took 360 s on a machine with six times as many processes as cores.
LIMIT_S = float(os.environ.get("TEST_TIME_LIMIT_S", "900"))


def _fail(_signal: int, _frame: FrameType | None) -> None:
    pytest.fail(f"hangs: not over after {LIMIT_S:.0f} s")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, Any, Any]:
    """One test with its fixtures; if the end of it hangs too, that is interrupted after the same time."""
    before = signal.signal(signal.SIGALRM, _fail)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S, LIMIT_S)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
