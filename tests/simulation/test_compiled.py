"""The compiled core and the interpreted one do the same: on each seed, the same bytes at the same moments.

`make compiled` makes the compiled one, in an environment of its own. Where that was not called, there is nothing to compare, and no test.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMPILED = ROOT / "build" / "compiled" / "bin" / "python"
KINDS = ("", "flushes ", "storms ", "sticky ", "talks ")
SEEDS = [f"{kind}{seed}" for kind in KINDS for seed in range(6)]


def transcript(python: Path, *options: str) -> list[str]:
    """What the schedules do on this Python: the file of a core module, then a line for each."""
    command = [python, *options, "-m", "tests.simulation.transcript", *SEEDS]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def compare_both_cores() -> None:
    """P1 to P11 are held by one set of rules, whichever way they run."""
    interpreted, *expected = transcript(Path(sys.executable))
    compiled, *found = transcript(COMPILED, "-P")
    assert (Path(interpreted).suffix, Path(compiled).suffix) == (".py", ".so")
    assert len(expected) == len(SEEDS)
    assert found == expected


if COMPILED.exists():
    test_the_compiled_core_decides_as_the_interpreted_one = compare_both_cores
