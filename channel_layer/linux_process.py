"""Who a process is on its machine, so that another one can tell whether it sees the same process.

A shared host name proves nothing between containers: boot id, pid namespace and the moment of the start do. Where the
system does not say (not Linux), nobody is thought to be on the same machine, and leases alone tell of deaths.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROC = Path("/proc")


def identity() -> dict[str, Any]:
    """What a lease says of this process: `machine` (boot id and pid namespace), `pid`, `born` (in ticks since the boot)."""
    return {"machine": _machine(), "pid": os.getpid(), "born": born(os.getpid())}


def same_process_here(facts: dict[str, Any]) -> int | None:
    """The pid of the process that `facts` describe, if it runs on this machine and is still that process."""
    pid, machine = facts.get("pid"), facts.get("machine")
    if not machine or machine != _machine() or type(pid) is not int:
        return None
    return pid if born(pid) == facts.get("born") else None


def born(pid: int) -> int | None:
    """When a process was started, in ticks since the boot; None if there is none that runs."""
    try:
        fields = (PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


class DeathWatch:
    """Tells in milliseconds when a process of this machine dies. One descriptor for each."""

    def __init__(self, on_death: Callable[[str], None]) -> None:
        self._on_death = on_death
        self._loop = asyncio.get_running_loop()
        self._descriptors: dict[str, int] = {}

    def watch(self, node: str, facts: dict[str, Any]) -> bool:
        """Watch the process that `facts` describe. False: it is not here, or dead already, or the system cannot tell."""
        pid = same_process_here(facts)
        if pid is None or node in self._descriptors or not hasattr(os, "pidfd_open"):
            return node in self._descriptors
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:
            return False
        if same_process_here(facts) is None:  # it died in between, and its number was used again
            os.close(descriptor)
            return False
        self._descriptors[node] = descriptor
        self._loop.add_reader(descriptor, self._died, node)
        return True

    def forget(self, node: str) -> None:
        """Its life is of no interest any more."""
        descriptor = self._descriptors.pop(node, None)
        if descriptor is not None:
            self._loop.remove_reader(descriptor)
            os.close(descriptor)

    def watched(self) -> list[str]:
        """Whose deaths would be heard."""
        return list(self._descriptors)

    def close(self) -> None:
        """Watch nobody any more."""
        for node in self.watched():
            self.forget(node)

    def _died(self, node: str) -> None:
        self.forget(node)
        self._on_death(node)


def _machine() -> str:
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {(PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return ""
