"""What Linux reports about processes: the parent, the CPU time and the memory of each."""

from __future__ import annotations

import os
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """CPU time of all threads since the start, in the kernel too, in seconds; in steps of 10 ms on most machines."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def rss_kib(pid: int) -> int:
    """Resident memory, in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def family(root: int) -> list[int]:
    """`root` and everything that descends from it, parents first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended while we looked
    found = [root]
    for pid in found:  # grows while we walk
        found.extend(children.get(pid, []))
    return found


def arguments(pid: int) -> list[str]:
    """The command line, or an empty list once the process has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat behind the name, which is in brackets and may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
