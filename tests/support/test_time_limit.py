"""A test that hangs must not take the tests behind it with it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
TESTS = """
import asyncio, os, threading, pytest

def test_pipe(): os.read(os.pipe()[0], 1)
def test_lock(): threading.Event().wait()
def test_loop(): asyncio.run(asyncio.Event().wait())

@pytest.fixture
def late():
    yield
    os.read(os.pipe()[0], 1)

def test_fixture(late): ...
def test_after_them(): ...
"""


def test_a_test_that_hangs_fails_and_those_behind_it_run(tmp_path: Path) -> None:
    """In a system call, at a lock, in an event loop and at the end of a fixture."""
    (tmp_path / "test_some.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "tests.support.time_limit", "-c", "/dev/null", str(tmp_path)]
    environment = {
        **os.environ,
        "TEST_TIME_LIMIT_S": "2",
        "PYTHONPATH": str(PROJECT),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 1, ended.stdout
    assert "3 failed, 2 passed, 1 error" in ended.stdout.splitlines()[-1]
    assert "os.read(os.pipe()[0], 1)" in ended.stdout, "the line that hangs"
