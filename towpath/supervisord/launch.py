"""Launches supervisord: its process at once, what it runs as soon as that is known."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from towpath.system import processes

PROGRAM = Path(__file__).with_name("daemon.py")


class Launch:
    """One process of supervisord that waits for its configuration.

    It has a process group of its own: Ctrl-C reaches it through `serve` alone.
    """

    def __init__(self) -> None:
        processes.raise_descriptor_limit()  # supervisord inherits it
        self._channel, its_end = socket.socketpair()
        with its_end:
            self._process = subprocess.Popen(
                # Its configuration is UTF-8 whatever the locale is.
                # Warnings of its own code are of no use here; with PYTHONWARNINGS=error they would end every call of it.
                [sys.executable, "-P", "-X", "utf8", "-W", "ignore", str(PROGRAM)],
                stdin=its_end.fileno(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                process_group=0,
                preexec_fn=processes.end_with_parent,
            )
        self._waits = True

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def run(
        self, configuration: Path, environment: Mapping[str, str], started: Sequence[str], descriptor: int | None
    ) -> subprocess.Popen[bytes]:
        """Let it supervise; its process.

        started: the processes that it starts first, in this order. descriptor: an open one that it passes on under the same number.
        """
        self._waits = False
        asked = {
            "configuration": str(configuration),
            "folder": str(configuration.parent),
            "environment": dict(environment),
            "started": [*started],
            "descriptor": descriptor,
        }
        with self._channel, contextlib.suppress(OSError):  # it has died, which its output explains
            socket.send_fds(self._channel, [b"\n"], [] if descriptor is None else [descriptor])
            self._channel.sendall(json.dumps(asked).encode())
        return self._process

    def end(self) -> None:
        """End supervisord, with all that it has started, and wait for that."""
        self._waits = False
        self._process.terminate()
        self._process.wait()

    def drop(self) -> None:
        """End the process, unless it supervises."""
        if self._waits:
            self._waits = False
            self._channel.close()
            self._process.kill()
            self._process.communicate()
