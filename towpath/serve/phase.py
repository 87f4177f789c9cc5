"""The phases of a `serve`, and the triggers that it handles."""

from __future__ import annotations

from enum import Enum, auto

from channel_layer.protocol.illegal_move import legal_move


class ServePhase(Enum):
    """How far a `serve` is."""

    SUPERVISOR = auto()  # supervisord does not answer yet; it starts the first processes itself
    STARTING = auto()  # not all processes hold a lease: one that fails now ends the whole
    SERVING = auto()  # a process that fails is started again
    STOPPING = auto()


#: Every legal move.
MOVES = {
    ServePhase.SUPERVISOR: (ServePhase.STARTING, ServePhase.STOPPING),
    ServePhase.STARTING: (ServePhase.SERVING, ServePhase.STOPPING),
    ServePhase.SERVING: (ServePhase.STOPPING,),
    ServePhase.STOPPING: (),
}


def next_phase(before: ServePhase, after: ServePhase) -> ServePhase:
    """`after`, if the table has that move. Raises IllegalMove otherwise."""
    return legal_move(MOVES, before, after, "`serve`")


class ServeTrigger(Enum):
    """An event that the parent handles, beside requests."""

    STOP = auto()
    STOP_AT_ONCE = auto()
    RELOAD = auto()
    CHANGED = auto()  # files of the application, under --reload
    POLL = auto()  # a process may have died
