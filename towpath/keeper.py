"""What `serve` makes of the news about its processes: when to give up, and how workers are replaced.

supervisord starts again what dies. That is right for what once worked, and wrong for what never can; only whoever watches the
beginning can tell the two apart. No process is touched here: facts in, commands out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

GONE = frozenset({"STOPPED", "EXITED", "FATAL"})
DYING = frozenset({"BACKOFF", "EXITED", "FATAL"})


@dataclass(frozen=True, slots=True)
class Process:
    """One slot, in supervisord's words for its state."""

    name: str
    state: str
    pid: int = 0
    cannot_start: bool = False  #: it said so itself

    @property
    def failed(self) -> bool:
        """Trying again will not help, or supervisord has tried often enough."""
        return self.state == "FATAL" or (self.state in DYING and self.cannot_start)


def failure(processes: Mapping[str, Process], wanted: Iterable[str]) -> str | None:
    """Why the beginning has failed, in one sentence; None while it has not."""
    for name in wanted:
        process = processes.get(name)
        if process is not None and process.failed:
            return f"{name} could not start"
    return None


def lost(processes: Mapping[str, Process], wanted: Iterable[str]) -> list[str]:
    """Those of `wanted` that supervisord has given up."""
    return [name for name in wanted if name in processes and processes[name].state == "FATAL"]


@dataclass(frozen=True, slots=True)
class Commands:
    """What to do now, and what to tell the person at the terminal."""

    start: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    say: str = ""


NOTHING = Commands()


class Step(Enum):
    """How far a replacement of the workers is."""

    IDLE = auto()
    CLEARING = auto()  # the other half of the slots is still being left by the last replacement
    STARTING = auto()  # the new workers are on their way; the old ones serve


class Replacement:
    """All workers are replaced by new ones: first the new, then the old. The slots have two halves that take turns.

    When the new ones cannot start, the old ones stay.
    """

    def __init__(self, slots: list[str]) -> None:
        half = len(slots) // 2
        self.current, self._other = slots[:half], slots[half:]
        self.step = Step.IDLE
        self._again = False

    @property
    def wanted(self) -> list[str]:
        """The slots that ought to be alive."""
        return [*self.current, *(self._other if self.step is Step.STARTING else ())]

    def begin(self) -> None:
        """Replace them. While a replacement is under way: once more, when it is done."""
        if self.step is Step.IDLE:
            self.step = Step.CLEARING
        else:
            self._again = True

    def advance(self, processes: Mapping[str, Process], ready: frozenset[int]) -> Commands:
        """The next step. ready: numbers of the processes that hold a lease."""
        if self.step is Step.CLEARING:
            return self._clear(processes)
        if self.step is Step.STARTING:
            return self._watch(processes, ready)
        return NOTHING

    def _clear(self, processes: Mapping[str, Process]) -> Commands:
        if any(name in processes and processes[name].state not in GONE for name in self._other):
            return NOTHING
        self.step = Step.STARTING
        return Commands(start=tuple(self._other))

    def _watch(self, processes: Mapping[str, Process], ready: frozenset[int]) -> Commands:
        if failure(processes, self._other):
            self._end()
            return Commands(stop=tuple(self._other), say="the new workers could not start; the old ones stay")
        if not all(name in processes and processes[name].pid in ready for name in self._other):
            return NOTHING
        self.current, self._other = self._other, self.current
        self._end()
        return Commands(stop=tuple(self._other), say="the new workers serve; the old ones leave")

    def _end(self) -> None:
        self.step = Step.CLEARING if self._again else Step.IDLE
        self._again = False
