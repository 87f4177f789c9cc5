"""The state of one slot: a name that supervisord knows, under which one process runs after the other.

No process is touched here, and none is counted: fleet.py does that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto

from channel_layer.protocol.illegal_move import legal_move
from towpath.supervisord.process import Process

START_TIMEOUT_S = 150.0  #: a process without a lease by then will never have one; a lifespan alone may take 60 s


class SlotState(Enum):
    """The state of a slot's process within its fleet, whatever supervisord calls its state."""

    IDLE = auto()  # there is no process; the next one to start may have the slot
    STARTING = auto()  # the process is not ready yet
    CURRENT = auto()  # the process ought to be alive and to stay
    LEAVING = auto()  # the process is to go, however often supervisord starts it again


#: Every legal move.
MOVES = {
    SlotState.IDLE: (SlotState.STARTING,),
    SlotState.STARTING: (SlotState.CURRENT, SlotState.LEAVING),
    SlotState.CURRENT: (SlotState.LEAVING,),
    SlotState.LEAVING: (SlotState.IDLE,),
}


@dataclass(slots=True, eq=False, kw_only=True)
class Slot:
    """One slot of a fleet."""

    name: str
    state: SlotState
    rank: int  #: orders the starting and the current slots; a successor takes over its predecessor's
    until: float = 0.0  #: how long the others wait for it to be ready, or to have gone
    instead_of: Slot | None = None  #: the slot that it replaces; None: it is an additional one
    pid: int = 0  #: the last that was seen while it starts: supervisord may have tried again between two polls

    def move(self, state: SlotState, *, rank: int = 0, until: float = 0.0) -> None:
        """Change the state. Raises IllegalMove if the table has no such move."""
        self.state = legal_move(MOVES, self.state, state, self.name)
        self.rank, self.until = rank, until

    def failure_sentence(self, process: Process, now: float) -> str:
        """Why a starting process has failed: it is late, or it has left, even if it runs again by now. Empty if it has not failed."""
        before, self.pid = self.pid, process.pid or self.pid
        if process.has_ended:
            return process.failure_sentence
        if before not in (0, self.pid):
            return replace(process, end="ended").failure_sentence
        return f"{self.name} was not ready within {START_TIMEOUT_S:.0f} s" if now > self.until else ""
