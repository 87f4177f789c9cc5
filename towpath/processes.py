"""Processes as the system knows them: by number and by the moment of their start, since numbers are used again.

What `serve` starts is written down in the run folder (marks.py), so that whoever comes after a `serve` that was killed knows
what it left behind. On Linux the system also tells each process when the one above it has died.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from channel_layer import linux_process

PR_SET_PDEATHSIG = 1
LOOK_S = 0.05  #: where the system does not tell when a process ends


def start_mark(pid: int) -> str | None:
    """What tells this process from others that had or will have its number; None if there is no such process."""
    if sys.platform == "linux":
        ticks = linux_process.born(pid)
        return None if ticks is None else str(ticks)
    shown = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip() or None


def record(path: Path, pid: int) -> None:
    """Write a process down, whole or not at all."""
    write_whole(path, f"{pid} {start_mark(pid)}\n")


def write_whole(path: Path, text: str) -> None:
    """Whole or not at all, as others see it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    draft.write_text(text)
    draft.replace(path)


def recorded(path: Path) -> int | None:
    """The process that `path` names, if it is still that process and alive."""
    try:
        pid, _, mark = path.read_text().strip().partition(" ")
        return int(pid) if mark and start_mark(int(pid)) == mark else None
    except (OSError, ValueError):
        return None


def send(pid: int, number: signal.Signals) -> None:
    """A signal; to a process that has gone meanwhile it is nothing."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def wait_gone(pids: Sequence[int], timeout_s: float) -> list[int]:
    """Wait until all have gone, at most so long each; the list of those that have not."""
    return [pid for pid in pids if not _gone(pid, timeout_s)]


def _gone(pid: int, timeout_s: float) -> bool:
    mark = start_mark(pid)
    if mark is None:
        return True
    if not hasattr(os, "pidfd_open"):
        return _gone_by_asking(pid, mark, timeout_s)
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], timeout_s)[0])
    finally:
        os.close(descriptor)


def _gone_by_asking(pid: int, mark: str, timeout_s: float) -> bool:
    for _ in range(int(timeout_s / LOOK_S) + 1):
        if start_mark(pid) != mark:
            return True
        select.select([], [], [], LOOK_S)
    return False


def end_all(pids: Sequence[int], patience_s: float) -> None:
    """SIGTERM to all, and SIGKILL to those that are still there when the patience is over."""
    for pid in pids:
        send(pid, signal.SIGTERM)
    left = wait_gone(pids, patience_s)
    for pid in left:
        send(pid, signal.SIGKILL)
    wait_gone(left, patience_s)


def raise_descriptor_limit() -> None:
    """The soft limit of file descriptors becomes the hard one: each socket is one."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS calls its hard limit endless and takes less
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def end_with_parent() -> None:
    """Ask the system for SIGTERM when the parent dies. Elsewhere than on Linux the next `serve` ends what is left."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
