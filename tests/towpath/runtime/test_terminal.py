"""What a worker reads from standard input under a `serve` that was started at a terminal."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import subprocess
import termios
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.support.facts import wait_until
from tests.support.serving import BIN, GRACE, environment, free_port, processes_of

APP = """
async def application(scope, receive, send):
    if scope["type"] != "http":
        return
    said = input("A name, please: ")
    breakpoint()
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": said.encode()})
"""
DEADLINE_S = 40.0


class Terminal:
    """A `serve` with a terminal of its own, and a person that types."""

    def __init__(self, folder: Path) -> None:
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        self._master, slave = pty.openpty()
        command = [BIN / "towpath", "serve", "small", "--port", str(port), "--run-dir", folder.parent / "run", *GRACE]
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment({}),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        self.shown = ""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # no process has it open any more
            while True:
                self.shown += os.read(self._master, 4096).decode(errors="replace")

    def shows(self, text: str) -> None:
        wait_until(lambda: text in self.shown, f"{text!r} in {self.shown!r}", DEADLINE_S)

    def types(self, text: str) -> None:
        os.write(self._master, text.encode())


@pytest.fixture
def terminal(project: Path) -> Iterator[Terminal]:
    terminal = Terminal(project)
    yield terminal
    for pid in processes_of(terminal.process.pid):
        os.kill(pid, 9)
    terminal.process.wait()


def test_input_and_breakpoint_of_an_only_worker_reach_the_terminal(terminal: Terminal) -> None:
    """As under any server with one process. Ctrl-C stops all of it, as always, also the debugger that it has called again."""
    terminal.shows("ready after")
    with ThreadPoolExecutor(1) as client:
        asked = client.submit(httpx.get, terminal.url, timeout=DEADLINE_S, trust_env=False)
        terminal.shows("A name, please: ")
        terminal.types("Ada\n")
        terminal.shows("(Pdb) ")
        terminal.types("print(said * 2)\n")
        terminal.shows("AdaAda")
        terminal.types("c\n")
        assert asked.result().text == "Ada"
    terminal.types("\x03")
    assert terminal.process.wait(DEADLINE_S) == 0
