"""The identity of a process on its machine, by which another process can tell whether it sees the same one.

A shared host name proves nothing between containers: boot id, pid namespace and the moment of the start do. Where the system does
not provide them (not Linux), no process counts as on the same machine, and only leases tell of deaths.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from pathlib import Path
from typing import Any

from channel_layer.process import forked_child

PROC = Path("/proc")
PID_MAX = 2**31 - 1  #: the largest pid that system calls take; a lease may contain any number


def identity() -> dict[str, Any]:
    """Fields of a lease about this process: `machine` (boot id and pid namespace), `pid`, `born` (in ticks since the boot)."""
    return {"machine": _machine(), "pid": os.getpid(), "born": born(os.getpid())}


def number_here(facts: dict[str, Any]) -> int | None:
    """The pid of the process that `facts` describe, if it runs or ran on this machine."""
    pid, machine = facts.get("pid"), facts.get("machine")
    return pid if machine and machine == _machine() and type(pid) is int and 0 < pid <= PID_MAX else None


def born(pid: int) -> int | None:
    """When a process was started, in ticks since the boot; None if it does not run.

    One that is killed runs until its last thread has ended, which has its sockets; its first thread may have ended before.
    """
    state, birth = _state_and_birth(pid)
    return None if state == b"X" or (state == b"Z" and not _has_more_threads(pid)) else birth


def _has_more_threads(pid: int) -> bool:
    try:
        return len(list((PROC / f"{pid}/task").iterdir())) > 1
    except OSError:
        return False


def children(pid: int) -> list[int]:
    """The living processes that this one has started itself; none where the system does not provide them."""
    try:
        return [int(child) for child in (PROC / f"{pid}/task/{pid}/children").read_bytes().split()]
    except OSError:
        return []


class DeathWatch:
    """Detects within milliseconds that a process of this machine dies, by one descriptor for each."""

    def __init__(self, on_death: Callable[[str], None]) -> None:
        import asyncio  # here, since processes without a loop read this file too

        self._on_death = on_death
        self._loop = asyncio.get_running_loop()
        self._descriptors: dict[str, int] = {}
        forked_child.give_up_in_children(self)

    def watch(self, node: str, facts: dict[str, Any]) -> None:
        """Watch the process that `facts` describe, and report at once if it has died already.

        A process of another machine is not watched, nor one that the system cannot identify.
        """
        pid = number_here(facts)
        if pid is None or node in self._descriptors or not hasattr(os, "pidfd_open"):
            return
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            self._on_death(node)
            return
        except OSError:
            return
        if _state_and_birth(pid)[1] not in (facts.get("born"), None):  # another process has its number
            os.close(descriptor)
            return
        # Watched also if it has ended or cannot be read: its descriptor becomes ready when all of its threads are gone.
        self._descriptors[node] = descriptor
        self._loop.add_reader(descriptor, self._died, node)

    def unwatch(self, node: str) -> None:
        """Stop watching the process of `node`."""
        descriptor = self._descriptors.pop(node, None)
        if descriptor is not None:
            self._loop.remove_reader(descriptor)
            os.close(descriptor)

    def has_died(self, node: str) -> bool:
        """True if the process of `node` is watched and has died, whether that was reported or is about to be."""
        descriptor = self._descriptors.get(node)
        if descriptor is None:
            return False
        poll = select.poll()  # `select.select` knows no descriptors above 1023
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(0))

    def watched(self) -> list[str]:
        """The nodes of the watched processes."""
        return list(self._descriptors)

    def close(self) -> None:
        """Stop watching."""
        for node in self.watched():
            self.unwatch(node)

    def forked(self) -> None:
        """See `Inherited`."""
        forked_child.close(*self._descriptors.values())
        self._descriptors = {}

    def _died(self, node: str) -> None:
        self.unwatch(node)
        self._on_death(node)


def _state_and_birth(pid: int) -> tuple[bytes, int | None]:
    try:
        fields = (PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return b"", None
    return fields[0], int(fields[19])


def _machine() -> str:
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {(PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return ""
