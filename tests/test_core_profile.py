"""The build of the compiled core with a profile: the work that is counted, and the setting."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.sources import ROOT

BUILD_S = 120


def test_the_core_that_runs_here_does_all_the_work_of_the_profile() -> None:
    """Whatever it would not answer as expected ends the build."""
    command = [sys.executable, "core_profile/exercise.py", "."]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=BUILD_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("value", ["2", "true", "pgo"])
def test_a_way_to_compile_that_is_none_is_refused_and_the_right_ones_are_named(value: str) -> None:
    """It was read as "do not compile", without a word."""
    env = {**os.environ, "TOWPATH_COMPILE": value}
    command = [sys.executable, "setup.py", "--version"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=BUILD_S, check=False)
    assert (done.returncode, done.stderr.strip()) == (
        1, f"TOWPATH_COMPILE is 1 or profile, or 0 for the interpreted core, and not {value!r}",
    )  # fmt: skip
