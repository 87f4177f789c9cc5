"""When `serve` gives up, before all of its processes stand.

supervisord starts again what dies. That is right for what once worked, and wrong for what never can; only whoever watches the
beginning can tell the two apart. No process is touched here. Who dies later: restart_backoff.py.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from towpath.supervisord.process import Process

#: What supervisord logs when a process has gone that it did not stop. It tells the signal nowhere else.
GONE = re.compile(rb"exited: (\S+) \((?:exit status (\d+)|terminated by (\w+))")


@dataclass(slots=True)
class Newcomer:
    """One process at the beginning, as far as it was seen."""

    pid: int = 0  #: as it ran first; 0: it was not seen to run
    stood: bool = False  #: it held a lease: it has started, whatever becomes of it
    loaded: bool = False  #: it had loaded the application, in whatever life
    unheard: bool = False  #: it has gone, and how was not said by then

    def has_gone(self, process: Process) -> bool:
        """It may have died and live again between two looks: its number tells.

        A process that has not loaded the application is not tried again: its first end says what there is to say.
        """
        if process.failed or (process.has_ended and not self.loaded) or self.pid not in (0, process.pid):
            return True
        if process.state == "RUNNING":
            self.pid = process.pid
        return False


class StartupMonitor:
    """The time until all processes stand."""

    def __init__(self) -> None:
        self._newcomers: defaultdict[str, Newcomer] = defaultdict(Newcomer)
        self._ends: dict[str, str] = {}

    def hear(self, said: bytes) -> None:
        """What supervisord logs. From any thread."""
        self._ends.update(ends(said))

    def failure(
        self, processes: Mapping[str, Process], wanted: Iterable[str], ready: frozenset[int] = frozenset()
    ) -> Process | None:
        """The process that made the beginning fail, with how it left; None while none has. ready: processes with a lease.

        supervisord's answer may overtake what it logged before: how a process left is waited for until the next look.
        """
        for process in [processes[name] for name in wanted if name in processes]:
            newcomer = self._newcomers[process.name]
            newcomer.stood = newcomer.stood or process.pid in ready
            newcomer.loaded = newcomer.loaded or newcomer.stood or process.loaded
            if not newcomer.stood and newcomer.has_gone(process):
                end = self._ends.get(process.name)
                if end or process.cannot_start or newcomer.unheard:
                    return replace(process, end=end or process.end or "ended", loaded=newcomer.loaded)
                newcomer.unheard = True
        return None


def ends(said: bytes) -> dict[str, str]:
    """How processes left, by their names, as supervisord logs it."""
    return {
        name.decode(): f"left with exit status {status.decode()}" if status else f"was ended by {signal.decode()}"
        for name, status, signal in GONE.findall(said)
    }
