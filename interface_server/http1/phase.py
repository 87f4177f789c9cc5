"""The phases of an HTTP/1 connection, and which may follow which.

IDLE ──► HEAD ──► EXCHANGE ──► IDLE …        from each: LINGERING, GONE
  └─────────────────▲
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from channel_layer.protocol.illegal_move import legal_move


class Phase(Enum):
    __hash__ = object.__hash__  # by identity; Enum's own is Python code, and stands in every look-up

    IDLE = auto()  # no request is under way, and nothing of the next one is here
    HEAD = auto()  # a head has begun to come
    EXCHANGE = auto()  # a request is under way: its body comes, or its response goes, or both
    LINGERING = auto()  # our last byte is written; incoming bytes are dropped
    GONE = auto()  # the socket is closed, or closing, or belongs to another protocol


# The lookup of an Enum's member through its class is slow, and every request needs these.
IDLE: Final = Phase.IDLE
HEAD: Final = Phase.HEAD
EXCHANGE: Final = Phase.EXCHANGE
LINGERING: Final = Phase.LINGERING
GONE: Final = Phase.GONE

#: Every legal move. An answer of our own may end an exchange that has no head, so LINGERING and GONE follow each phase but GONE.
MOVES: Final[dict[Phase, tuple[Phase, ...]]] = {
    IDLE: (EXCHANGE, HEAD, LINGERING, GONE),
    HEAD: (EXCHANGE, LINGERING, GONE),
    EXCHANGE: (IDLE, LINGERING, GONE),
    LINGERING: (GONE,),
    GONE: (GONE,),  # the transport's end comes after ours, or before it
}


def phase_step(before: Phase, after: Phase) -> Phase:
    """Move to `after`. Raises IllegalMove if the table has no such move: an error in this program."""
    return legal_move(MOVES, before, after, "a connection")


#: The moves of an ordinary exchange, looked up once: its request comes in one read, and the connection waits for the next one after it.
BEGUN: Final = phase_step(IDLE, EXCHANGE)
KEPT: Final = phase_step(EXCHANGE, IDLE)
