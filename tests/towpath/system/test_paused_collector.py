"""Imports without the garbage collector, in processes of their own: it is one for the whole process."""

from __future__ import annotations

import subprocess
import sys

IMPORT = "import gc; from towpath.system.paused_collector import collector_paused"


def shown(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", f"{IMPORT}\n{code}"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_nothing_is_collected_within_the_block() -> None:
    assert shown("with collector_paused(): print(gc.isenabled())\nprint(gc.isenabled())") == "False\nTrue"


def test_what_is_there_at_the_end_is_left_alone_and_what_comes_later_is_not() -> None:
    code = """
with collector_paused():
    made = [[] for _ in range(1_000)]
print(gc.get_freeze_count() >= 1_000)
class Later: pass
later = Later(); later.itself = later
del later
print(gc.collect())
"""
    there, collected = shown(code).split()
    assert there == "True" and int(collected) > 0


def test_the_collector_goes_on_after_an_import_that_failed() -> None:
    code = """
try:
    with collector_paused(): import no_such_module
except ImportError:
    print(gc.isenabled())
"""
    assert shown(code) == "True"
