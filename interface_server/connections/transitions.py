"""The states of a connection at the interface server, and every legal move between them.

                  ┌───────────────────────────── open again, next epoch ─────────────────────────────┐
                  ▼                                                                                   │
    QUEUED: open is on its channel; it has no owner     ── adopted ──▶  OWNED: events flow both ways ─┤
       │ wait over, or the outcome of `open` is unknown                      ▲                        │
       ▼                                                                     │                        │
    OVERDUE: a worker that took it has sent that already       ── adopted ───┘          DONE ◀────────┘

The moves that depend on more than the state are `Connection.transition`'s. PROTOCOL.md, "The life of a connection".
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final


class ConnectionState(Enum):
    """The state of a connection."""

    __hash__ = object.__hash__  # by identity; Enum's own is Python code, and stands in every look-up

    QUEUED = auto()
    OVERDUE = auto()
    OWNED = auto()
    DONE = auto()


class Trigger(Enum):
    """An event in the life of a connection."""

    __hash__ = object.__hash__  # by identity; Enum's own is Python code, and stands in every look-up

    ADOPTED = auto()  #: a worker won it
    REFUSED = auto()  #: it was taken from the queue too late
    FULL = auto()  #: the channel was full
    UNAVAILABLE = auto()  #: Redis was not reachable; nothing was added
    UNKNOWN = auto()  #: `open` was sent and never answered
    WAIT_OVER = auto()  #: no worker has adopted it in time
    WITHDRAWN = auto()  #: the cancel script won
    UNSENT = auto()  #: Redis has refused the packet that was to bring it to its owner
    RECALLED = auto()  #: its owner, to which it was sent directly, has not begun it in time
    NOT_STARTED = auto()  #: the owner will not start it, or another worker found that none had taken it
    ENDED = auto()  #: the instance is over, by a packet of the owner
    OWNER_DIED = auto()
    HANDED_OFF = auto()  #: the owner asks for another one; the WebSocket stays open
    STOPPED = auto()  #: the owner's time to finish is over
    REDIS_EMPTY = auto()  #: its entry is lost, or of another era
    PACKETS_LOST = auto()
    OUTAGE = auto()  #: Redis has been unreachable for longer than `redis_outage_timeout_s`
    LEFT = auto()  #: the client has left
    COMPLETE = auto()  #: the response is complete
    ABORTED = auto()  #: after an error in this program, when the state is not certain


class Action(Enum):
    """The action of the shell after a move."""

    __hash__ = object.__hash__  # by identity; Enum's own is Python code, and stands in every look-up

    NOTHING = auto()
    FLOW = auto()  #: send what waits, as far as there is credit
    OPEN_AGAIN = auto()  #: queue it again; the epoch was raised
    AWAIT = auto()  #: wait for an adoption that may come, and not for long
    WITHDRAW = auto()  #: run the cancel script
    CANCEL_OWNER = auto()  #: cancel it at the owner
    END_FULL = auto()
    END_LATE = auto()
    END_UNAVAILABLE = auto()
    END_DIED = auto()
    END_UNKNOWN = auto()
    END_PACKETS_LOST = auto()  #: and cancel it at the owner
    END_OUTAGE = auto()  #: and cancel it at the owner, once that is possible
    END_AS_REPORTED = auto()  #: for the reason that the owner reported


_T: Final = Trigger
_S: Final = ConnectionState
_A: Final = Action

#: Every legal move. A pair that is missing is an error in this program.
MOVES: Final[dict[ConnectionState, dict[Trigger, tuple[ConnectionState, Action]]]] = {
    _S.QUEUED: {
        _T.ADOPTED: (_S.OWNED, _A.FLOW),
        _T.REFUSED: (_S.DONE, _A.END_LATE),
        _T.FULL: (_S.DONE, _A.END_FULL),
        _T.UNAVAILABLE: (_S.DONE, _A.END_UNAVAILABLE),
        _T.UNKNOWN: (_S.OVERDUE, _A.AWAIT),  # but if it may start twice: see `transition`
        _T.WAIT_OVER: (_S.OVERDUE, _A.WITHDRAW),
        _T.LEFT: (_S.DONE, _A.WITHDRAW),
        _T.NOT_STARTED: (_S.QUEUED, _A.OPEN_AGAIN),
        _T.REDIS_EMPTY: (_S.OVERDUE, _A.AWAIT),  # as UNKNOWN: it may have been taken before
        # Redis lost data, and the entry was still there: no worker has it.
        _T.WITHDRAWN: (_S.QUEUED, _A.OPEN_AGAIN),
        _T.ABORTED: (_S.DONE, _A.END_PACKETS_LOST),
    },
    _S.OVERDUE: {
        _T.ADOPTED: (_S.OWNED, _A.FLOW),
        _T.REFUSED: (_S.DONE, _A.END_LATE),
        _T.WITHDRAWN: (_S.DONE, _A.END_LATE),
        _T.NOT_STARTED: (_S.DONE, _A.END_LATE),
        _T.FULL: (_S.DONE, _A.END_FULL),
        _T.UNAVAILABLE: (_S.DONE, _A.END_UNAVAILABLE),
        _T.UNKNOWN: (_S.OVERDUE, _A.NOTHING),  # it waits for an adoption already
        _T.WAIT_OVER: (_S.DONE, _A.END_UNKNOWN),
        _T.REDIS_EMPTY: (_S.OVERDUE, _A.NOTHING),
        _T.LEFT: (_S.DONE, _A.NOTHING),  # an adoption that comes is stale, and is answered
        _T.ABORTED: (_S.DONE, _A.END_PACKETS_LOST),
    },
    _S.OWNED: {
        _T.NOT_STARTED: (_S.QUEUED, _A.OPEN_AGAIN),
        _T.UNSENT: (_S.DONE, _A.END_UNAVAILABLE),  # as a new one for which the channel is refused
        _T.RECALLED: (_S.QUEUED, _A.OPEN_AGAIN),
        _T.HANDED_OFF: (_S.QUEUED, _A.OPEN_AGAIN),
        _T.ENDED: (_S.DONE, _A.END_AS_REPORTED),
        _T.OWNER_DIED: (_S.DONE, _A.END_DIED),  # but if it is replayable: see `transition`
        _T.STOPPED: (_S.DONE, _A.END_AS_REPORTED),  # the same
        _T.REDIS_EMPTY: (_S.OWNED, _A.NOTHING),  # `sync` decides
        _T.PACKETS_LOST: (_S.DONE, _A.END_PACKETS_LOST),
        _T.OUTAGE: (_S.DONE, _A.END_OUTAGE),  # a queued connection has a timeout of its own
        _T.LEFT: (_S.DONE, _A.CANCEL_OWNER),
        _T.COMPLETE: (_S.DONE, _A.NOTHING),
        _T.ABORTED: (_S.DONE, _A.END_PACKETS_LOST),
        # Answers about `open` and `cancel.lua` that come after the adoption: ordinary, and without meaning.
        _T.FULL: (_S.OWNED, _A.NOTHING),
        _T.UNAVAILABLE: (_S.OWNED, _A.NOTHING),
        _T.UNKNOWN: (_S.OWNED, _A.NOTHING),
        _T.WITHDRAWN: (_S.OWNED, _A.NOTHING),
    },
    _S.DONE: dict.fromkeys(Trigger, (_S.DONE, _A.NOTHING)),
}


#: The move that may take the place of those above, and the state from which each trigger may lead to it. Whether it does depends on
#: more than the state: see `Connection.transition`.
REQUEUED: Final = (ConnectionState.QUEUED, Action.OPEN_AGAIN)
MAY_REQUEUE: Final = {
    Trigger.UNKNOWN: ConnectionState.QUEUED,
    Trigger.REDIS_EMPTY: ConnectionState.QUEUED,
    Trigger.OWNER_DIED: ConnectionState.OWNED,
    Trigger.STOPPED: ConnectionState.OWNED,
}


#: The usual end of an exchange, looked up once: it needs no action, and comes with every request.
AFTER_COMPLETE: Final = MOVES[ConnectionState.OWNED][Trigger.COMPLETE][0]
