"""A name that supervisord knows, and what it is good for at present: the track of one process after the other.

No process is touched here, and none is counted: fleet.py does that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto

from towpath.supervisord.process import Process

START_TIMEOUT_S = 150.0  #: whoever has no lease by then never will; a lifespan alone may take 60 s


class State(Enum):
    """What a slot's process is to the others, whatever supervisord calls it."""

    IDLE = auto()  # there is none; whoever starts next may have the slot
    STARTING = auto()  # it is not counted on yet
    CURRENT = auto()  # it ought to be alive and to stay
    LEAVING = auto()  # it is to go, however often supervisord starts it again


#: Every legal move.
MOVES = {
    State.IDLE: (State.STARTING,),
    State.STARTING: (State.CURRENT, State.LEAVING),
    State.CURRENT: (State.LEAVING,),
    State.LEAVING: (State.IDLE,),
}


@dataclass(slots=True, eq=False)
class Slot:
    """One of a fleet."""

    name: str
    state: State
    rank: int  #: orders those that start, and those that are current, where a successor takes over its predecessor's
    until: float = 0.0  #: so long the others wait for it: to serve, or to have gone
    instead_of: Slot | None = None  #: whom it replaces; None: one more
    pid: int = 0  #: the last that was seen while it starts: supervisord may have tried again between two looks

    def move(self, state: State, *, rank: int = 0, until: float = 0.0) -> None:
        """Raises ValueError where there is no such move."""
        if state not in MOVES[self.state]:
            raise ValueError(f"{self.name} is {self.state.name} and cannot become {state.name}")
        self.state, self.rank, self.until = state, rank, until

    def failure_sentence(self, process: Process, now: float) -> str:
        """Of one that starts: it is late, or has left, whatever has become of it since; empty if neither is so."""
        before, self.pid = self.pid, process.pid or self.pid
        if process.has_ended:
            return process.failure_sentence
        if before not in (0, self.pid):
            return replace(process, end="ended").failure_sentence
        return f"{self.name} was not ready within {START_TIMEOUT_S:.0f} s" if now > self.until else ""
