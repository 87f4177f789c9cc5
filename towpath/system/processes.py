"""Processes as the system identifies them: by number and by the moment of their start, since numbers are used again.

`serve` records the processes that it starts in the run folder (process_markers.py), so that the `serve` after one that was killed knows
what that left behind. On Linux the system also signals each process when its parent has died.
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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from channel_layer.process import local_process

PR_SET_PDEATHSIG = 1
POLL_S = 0.05  #: where the system does not report the end of a process


@dataclass(frozen=True, slots=True)
class Identity:
    """One process, distinct from others that had or will have its number.

    born: the moment of its start, in the form of the system.
    """

    pid: int
    born: str

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """The process that has this number now; None if there is none."""
        born = _born(pid)
        return None if born is None else cls(pid, born)

    @classmethod
    def parse(cls, text: str) -> Identity | None:
        """The process that was recorded as `text`, if it is still alive."""
        number, _, born = text.strip().partition(" ")
        if not (number.isascii() and number.isdecimal() and born):
            return None
        known = cls(int(number), born)
        return known if known.is_alive else None

    def __str__(self) -> str:
        return f"{self.pid} {self.born}"

    @property
    def is_alive(self) -> bool:
        """True if its number is still its own."""
        return 0 < self.pid <= local_process.PID_MAX and _born(self.pid) == self.born

    def send(self, number: signal.Signals) -> None:
        """Send a signal. Nothing is sent if the process has gone, even if another one has its number now."""
        with contextlib.suppress(ProcessLookupError), _held(self) as descriptor:
            if descriptor is None:
                os.kill(self.pid, number)
            else:
                signal.pidfd_send_signal(descriptor, number)

    def wait_gone(self, timeout_s: float) -> bool:
        """Wait until the process has gone, at most `timeout_s`. False if it is still there."""
        try:
            with _held(self) as descriptor:
                if descriptor is None:
                    return self._gone_by_asking(timeout_s)
                return bool(select.select([descriptor], [], [], timeout_s)[0])
        except ProcessLookupError:
            return True

    def _gone_by_asking(self, timeout_s: float) -> bool:
        for _ in range(int(timeout_s / POLL_S) + 1):
            if not self.is_alive:
                return True
            select.select([], [], [], POLL_S)
        return False


@contextlib.contextmanager
def _held(process: Identity) -> Iterator[int | None]:
    """A descriptor of exactly this process, where the system has such descriptors. ProcessLookupError if it has gone."""
    descriptor = _pidfd(process.pid)
    try:
        if not process.is_alive:
            raise ProcessLookupError
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
    except ProcessLookupError:
        raise
    except OSError:  # no descriptor is free
        return None


def _born(pid: int) -> str | None:
    if sys.platform == "linux":
        ticks = local_process.born(pid)
        return None if ticks is None else str(ticks)
    shown = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip() or None


def children_of(pid: int) -> list[Identity]:
    """The processes that this one has started itself, where the system reports them."""
    return [child for child in map(Identity.of, local_process.children(pid)) if child is not None]


def end_all(processes: Sequence[Identity], timeout_s: float) -> None:
    """Send SIGTERM to all, and SIGKILL to each that is still there after `timeout_s`. They are waited for one after the other."""
    for process in processes:
        process.send(signal.SIGTERM)
    left = [process for process in processes if not process.wait_gone(timeout_s)]
    for process in left:
        process.send(signal.SIGKILL)
    for process in left:
        process.wait_gone(timeout_s)


def raise_descriptor_limit() -> None:
    """Raise the soft limit of file descriptors to the hard one: each socket is one."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS calls its hard limit endless and takes less
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def end_with_parent(number: signal.Signals = signal.SIGTERM) -> None:
    """Ask the system for a signal when the parent dies. On systems other than Linux the next `serve` ends such processes."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
