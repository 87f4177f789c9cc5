"""Process 1 of a container. Needs the right to make a pid namespace; where that is not, tests skip, which CI=true does not allow."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
UNSHARE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")

#: What a command is here: it starts a process that leaves an orphan, and prints when process 1 has no such child any more.
COMMAND = """
import os, pathlib, signal, subprocess, sys
from towpath.system.process_one import become_init

signal.signal(signal.SIGUSR1, lambda *_: sys.exit(7))
become_init()
orphan = int(subprocess.run(["sh", "-c", "sleep 0.01 >&- & echo $!"], capture_output=True).stdout)
while pathlib.Path(f"/proc/{orphan}").exists():
    pass
print("no zombie", os.getppid(), os.environ["LISTEN_PID"] == str(os.getpid()), flush=True)
signal.pause()
"""


@contextmanager
def container() -> Iterator[subprocess.Popen[str]]:
    if subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no pid namespace of its own can be made here")
    command = [*UNSHARE, sys.executable, "-c", COMMAND]
    variables = {**os.environ, "LISTEN_PID": "1"}
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=variables
    ) as unshare:
        try:
            yield unshare
        finally:
            unshare.kill()


def process_one(unshare: subprocess.Popen[str]) -> int:
    """Its number out here."""
    return int(Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children").read_text())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGUSR1, 7), (signal.SIGTERM, 128 + signal.SIGTERM)])
def test_process_one_waits_for_orphans_hands_signals_on_and_leaves_as_its_command(
    number: signal.Signals, code: int
) -> None:
    """A container's processes leave no zombies; and what has no handler yet is ended by SIGTERM, as anywhere else. A socket that was
    passed to process 1 is for its command.
    """
    with container() as unshare:
        assert unshare.stdout is not None
        assert unshare.stdout.readline() == "no zombie 1 True\n"
        subprocess.run(["kill", f"-{number}", str(process_one(unshare))], check=True)
        assert unshare.wait(20) == code
