"""How far a `serve` is, and what can happen to it."""

from __future__ import annotations

from enum import Enum, auto


class Phase(Enum):
    """How far the whole is."""

    REDIS = auto()  # the embedded server is starting; nothing else is
    STARTING = auto()  # everything is started, not everything holds a lease: whoever fails now ends the whole
    SERVING = auto()  # from now on whoever fails is started again
    STOPPING = auto()


#: Every legal move.
MOVES = {
    Phase.REDIS: (Phase.STARTING, Phase.STOPPING),
    Phase.STARTING: (Phase.SERVING, Phase.STOPPING),
    Phase.SERVING: (Phase.STOPPING,),
    Phase.STOPPING: (),
}


class Trigger(Enum):
    """What can happen, beside a request."""

    STOP = auto()
    STOP_AT_ONCE = auto()
    RELOAD = auto()
    CHANGED = auto()  # files of the application, under --reload
    POLL = auto()  # a process may have died
