"""Decides when `serve` gives up its start: a process failed in a way that another try cannot mend.

supervisord starts again what dies. That is right for what once worked, and wrong for what never can; only a monitor of the start can
tell the two apart. No process is touched here. Processes that fail later: restart_backoff.py.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto

from towpath.supervisord.process import Process

#: supervisord's log line for a process that has gone without having been stopped by it. It reports the signal nowhere else.
GONE = re.compile(rb"exited: (\S+) \((?:exit status (\d+)|terminated by (\w+))")


class Progress(Enum):
    """How far one process has come, in whichever of its lives."""

    STARTING = auto()  # it has not loaded the application
    LOADED = auto()  # it has; supervisord may try it again if it ends
    READY = auto()  # it held a lease: it has started, whatever becomes of it


#: Every legal move: progress is never lost.
MOVES = {
    Progress.STARTING: (Progress.LOADED, Progress.READY),
    Progress.LOADED: (Progress.READY,),
    Progress.READY: (),
}


@dataclass(slots=True)
class StartingProcess:
    """One process during the start, as far as it was seen."""

    pid: int = 0  #: as it ran first; 0: it was not seen to run
    progress: Progress = Progress.STARTING
    awaits_end: bool = False  #: it has gone, and supervisord had not logged how by then

    def advance(self, process: Process, is_ready: bool) -> None:
        """Note what is seen of it now."""
        seen = Progress.READY if is_ready else Progress.LOADED if process.loaded else Progress.STARTING
        if seen in MOVES[self.progress]:
            self.progress = seen

    def has_failed(self, process: Process) -> bool:
        """True if it has ended and will not be tried again, or has been tried again between two polls.

        Its number shows the latter. A process that has not loaded the application is not tried again: its first end shows what
        there is to show.
        """
        if self.progress is Progress.READY:
            return False
        ended = process.has_ended and self.progress is Progress.STARTING
        if process.failed or ended or self.pid not in (0, process.pid):
            return True
        if process.state == "RUNNING":
            self.pid = process.pid
        return False


class StartupMonitor:
    """The time until all processes have a lease."""

    def __init__(self) -> None:
        self._starting: defaultdict[str, StartingProcess] = defaultdict(StartingProcess)
        self._ends: dict[str, str] = {}

    def note_log(self, logged: bytes) -> None:
        """Note what supervisord logs. From any thread."""
        self._ends.update(ends(logged))

    def failure(
        self, processes: Mapping[str, Process], wanted: Iterable[str], ready: frozenset[int] = frozenset()
    ) -> Process | None:
        """The process that made the start fail, with how it left; None while none has.

        ready: processes with a lease. supervisord's answer may overtake what it logged before: the reason is waited for until
        the next poll.
        """
        for process in [processes[name] for name in wanted if name in processes]:
            starting = self._starting[process.name]
            starting.advance(process, process.pid in ready)
            if starting.has_failed(process):
                end = self._ends.get(process.name)
                if end or process.cannot_start or starting.awaits_end:
                    loaded = starting.progress is not Progress.STARTING
                    return replace(process, end=end or process.end or "ended", loaded=loaded)
                starting.awaits_end = True
        return None


def ends(logged: bytes) -> dict[str, str]:
    """How processes left, by their names, as supervisord logs it."""
    return {
        name.decode(): f"left with exit status {status.decode()}" if status else f"was ended by {signal.decode()}"
        for name, status, signal in GONE.findall(logged)
    }
