"""What runs the tests is tested too: a skip is loud at home and a failure under CI=true."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
TESTS = """
import pytest

@pytest.mark.skip(reason="no chromium here")
def test_in_a_browser(): ...

@pytest.mark.xfail(reason="known", strict=True)
def test_known(): assert False
"""
MODULE = "import pytest\npytest.skip('no nginx here', allow_module_level=True)\n"


@pytest.mark.parametrize(("ci", "code", "word"), [("", 0, "skipped"), ("true", 2, "error"), ("TRUE", 2, "error")])
def test_a_skip_is_a_failure_where_everything_must_be_there(tmp_path: Path, ci: str, code: int, word: str) -> None:
    """Tests and whole modules; an expected failure is no skip."""
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "test_module.py").write_text(MODULE)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.support.no_skips_in_ci",
        "-ra",
        "-c",
        "/dev/null",
        str(tmp_path),
    ]
    environment = {**os.environ, "CI": ci, "PYTHONPATH": str(PROJECT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == code, ended.stdout
    assert word in ended.stdout.splitlines()[-1]
    assert "no nginx here" in ended.stdout
    only_tests = subprocess.run(
        [*command[:-1], str(tmp_path / "test_some.py")], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert only_tests.returncode == (1 if ci else 0)
    assert "no chromium here" in only_tests.stdout
    assert "1 xfailed" in only_tests.stdout.splitlines()[-1]
