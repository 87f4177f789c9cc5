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
#: How many seeds of each kind: those that name "rush" take the longest.
KINDS = {
    "": 6,
    "flushes ": 6,
    "storms ": 6,
    "sticky ": 6,
    "talks ": 6,
    "direct ": 6,
    "direct, storms ": 6,
    "direct, flushes ": 4,
    "direct, full ": 4,
    "direct, rush, drains ": 2,
    "direct, rush, kills ": 2,
    "direct, rush, storms ": 3,
}
SEEDS = [f"{kind}{seed}" for kind, count in KINDS.items() for seed in range(count)]


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
