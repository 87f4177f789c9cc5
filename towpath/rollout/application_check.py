"""Loading the application once in a process of its own, before workers are replaced.

`serve` polls that process, so that it can be stopped meanwhile.
"""

from __future__ import annotations

import math
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import IO

from towpath.system import processes, standard_streams

SILENT_S = 5.0  #: how long loading the application may take without a notice
CHECK_TIMEOUT_S = 120.0
OUR_PREFIX = "towpath: "


class SlowLoadNotice:
    """A notice that loading the application takes long, given once."""

    def __init__(self, timeout_s: float) -> None:
        """timeout_s: after how long loading is given up."""
        self._due_at = time.monotonic() + SILENT_S
        self._timeout_s = timeout_s

    def take(self) -> str:
        """The sentence when it is due, once; otherwise empty."""
        if time.monotonic() < self._due_at:
            return ""
        self._due_at = math.inf
        return f"still loading the application; given up after {self._timeout_s:.0f} s …"


def _scratch() -> IO[bytes]:
    """A file without a name. In memory where the system can do that, as there may be no folder for temporary files."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("towpath-check"), "w+b")
    return tempfile.TemporaryFile("w+b")


class ApplicationCheck:
    """One run of `towpath worker APP --check`."""

    def __init__(self, command: Sequence[str], variables: Mapping[str, str]) -> None:
        self.variables = variables
        self.slow = SlowLoadNotice(CHECK_TIMEOUT_S)
        self._output = _scratch()
        self._deadline = time.monotonic() + CHECK_TIMEOUT_S
        self._process = subprocess.Popen(
            command,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            preexec_fn=processes.end_with_parent,
        )

    def outcome(self) -> str | None:
        """None while it runs; empty if the application was loaded; else one sentence about the failure. All other output is shown."""
        if self._process.poll() is None:
            if time.monotonic() < self._deadline:
                return None
            self.end()
            return f"the application was not loaded within {CHECK_TIMEOUT_S:.0f} s"
        return "" if self._process.returncode == 0 else self._failure()

    def _failure(self) -> str:
        size_bytes = os.fstat(self._output.fileno()).st_size
        lines = os.pread(self._output.fileno(), size_bytes, 0).decode(errors="replace").rstrip().splitlines()
        if not lines or not lines[-1].startswith(OUR_PREFIX):
            lines.append(f"{OUR_PREFIX}loading the application ended with {self._process.returncode}")
        for line in lines[:-1]:
            standard_streams.write_line(line)
        return lines[-1].removeprefix(OUR_PREFIX)

    def end(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.wait()
