"""How an interface server's process ends."""

from __future__ import annotations

import subprocess
import sys

BROKEN = """
import sys
import interface_server.__main__ as main
from interface_server.settings import InterfaceSettings

def broken(*_):
    raise RuntimeError("a bug of ours")

main.InterfaceServer = broken
sys.exit(main.run(InterfaceSettings()))
"""


def test_a_process_that_fails_in_a_way_that_nobody_thought_of_says_so() -> None:
    """Whoever keeps it alive must see a failure, and whoever reads the log where it was."""
    ended = subprocess.run([sys.executable, "-c", BROKEN], capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    assert "a bug of ours" in ended.stderr
