"""Processes as the system knows them: by number and by the moment of their start, since numbers are used again.

What `serve` starts writes itself down in the run folder, so that whoever comes after a `serve` that was killed knows what
it left behind. On Linux the system also tells each process when the one above it has died.
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

from towpath.errors import StartFailure

PR_SET_PDEATHSIG = 1


def start_mark(pid: int) -> str | None:
    """What tells this process from others that had or will have its number; None if there is no such process."""
    if sys.platform == "linux":
        try:
            fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            return None
        return None if fields[0] in (b"Z", b"X") else fields[19].decode()
    shown = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip() or None


def record(path: Path, pid: int) -> None:
    """Write a process down, whole or not at all."""
    draft = path.with_name(f".{path.name}.{pid}")
    draft.write_text(f"{pid} {start_mark(pid)}\n")
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
    for _ in range(int(timeout_s / 0.05) + 1):
        if start_mark(pid) != mark:
            return True
        select.select([], [], [], 0.05)
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


def enter() -> None:
    """What every process of ours does first: room for sockets; and under `serve`, be known and do not outlive it."""
    raise_descriptor_limit()
    own = _own_record()
    if own is None:
        return
    parent = os.getppid()
    end_with_parent()
    if os.getppid() != parent:
        raise StartFailure("the supervisor has gone")
    with contextlib.suppress(OSError):
        take_back_marks(own)
        record(own, os.getpid())


def leave_word_of_failure(sentence: str = "") -> None:
    """Tell `serve` that this process cannot start: supervisord tells nobody the exit code of whoever it tries again."""
    own = _own_record()
    if own is not None and not (sentence == "" and failure_mark(own).exists()):
        with contextlib.suppress(OSError):
            _leave_word(failure_mark(own), sentence)


def ask_for_successor(why: str) -> bool:
    """Tell `serve` that this process should be replaced. False: it runs alone, and nobody could send a successor first."""
    own = _own_record()
    if own is None or recorded(own.parent.parent / "serve") is None:
        return False
    try:
        _leave_word(wish_mark(own), why)
    except OSError:
        return False
    return True


def _leave_word(path: Path, text: str) -> None:
    """Whole or not at all."""
    draft = path.with_name(f"{path.name}.draft")
    draft.write_text(text)
    draft.replace(path)


def said(path: Path) -> str | None:
    """What stands in a mark; None if it is not there."""
    try:
        return path.read_text()
    except OSError:
        return None


def failure_mark(path: Path) -> Path:
    """Where the process of this record says that it cannot start, and why."""
    return path.with_name(f".{path.name}.failed")


def wish_mark(path: Path) -> Path:
    """Where the process of this record asks for its successor, and says why."""
    return path.with_name(f".{path.name}.wish")


def take_back_marks(path: Path) -> None:
    """Nothing was said by the process of this record."""
    for mark in (failure_mark(path), wish_mark(path)):
        mark.unlink(missing_ok=True)


def everything_stops() -> bool:
    """Is this a process of a `serve` that stops as a whole? False: others may serve on, or whoever runs it starts the next."""
    own = _own_record()
    return own is not None and stop_mark(own.parent.parent).exists()


def stop_mark(run_dir: Path) -> Path:
    """Where a `serve` says that it stops, before it asks its processes to leave."""
    return run_dir / "stopping"


def _own_record() -> Path | None:
    run_dir, name = os.environ.get("TOWPATH_RUN_DIR"), os.environ.get("SUPERVISOR_PROCESS_NAME")
    return Path(run_dir) / "pids" / name if run_dir is not None and name is not None else None
