"""What `serve` makes of the news about its processes: when to give up, and whom to start again.

supervisord starts again what dies. That is right for what once worked, and wrong for what never can; only whoever watches the
beginning can tell the two apart. No process is touched here. How workers are replaced: fleet.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

DYING = frozenset({"BACKOFF", "EXITED", "FATAL"})


@dataclass(frozen=True, slots=True)
class Process:
    """One slot, in supervisord's words for its state."""

    name: str
    state: str
    pid: int = 0
    cannot_start: bool = False  #: it said so itself
    sentence: str = ""  #: why, if it said that too
    wish: str = ""  #: why it asks for its successor, if it does

    @property
    def failed(self) -> bool:
        """Trying again will not help, or supervisord has tried often enough."""
        return self.state == "FATAL" or (self.state in DYING and self.cannot_start)

    @property
    def why_not(self) -> str:
        """One sentence about its failure."""
        return f"{self.name} could not start{f': {self.sentence}' if self.sentence else ''}"


def failure(processes: Mapping[str, Process], wanted: Iterable[str]) -> str | None:
    """Why the beginning has failed, in one sentence; None while it has not."""
    for name in wanted:
        process = processes.get(name)
        if process is not None and process.failed:
            return process.why_not
    return None


def lost(processes: Mapping[str, Process], wanted: Iterable[str]) -> list[str]:
    """Those of `wanted` that supervisord has given up."""
    return [name for name in wanted if name in processes and processes[name].state == "FATAL"]
