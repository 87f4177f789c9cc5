"""The states of one WebSocket as its client's side sees it, from the upgrade to the last byte, and every move between them.

    CONNECTING ──accept──▶ OPEN ──our close──▶ CLOSING ──their close, or too late──▶ CLOSED
        │                   ├──their close, which we answer──▶ CLOSED
        │                   └──a frame that breaks the rules──▶ DRAINING ──the client hangs up, or too late──▶ CLOSED
        ├──response start──▶ DENYING ──last of its body──▶ DRAINING
        └──close, or a refusal of ours──▶ DRAINING

A stream that is lost or aborted goes to CLOSED from every state. After our last byte a socket waits, for a bounded time, until the client
hangs up: closing while bytes of the client are unread would make the kernel send a reset, and a reset destroys what we wrote
last. RFC 6455, section 7.1.1.

No socket here: the connection looks up what an event means, and performs it. Sources: ASGI specification, "WebSocket"; RFC 6455.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Any


class State(Enum):
    CONNECTING = auto()  #: the application has not answered the handshake
    DENYING = auto()  #: it answers with an HTTP response of its own
    OPEN = auto()  #: messages flow both ways
    CLOSING = auto()  #: our close frame is written; messages that the client still sends are dropped
    DRAINING = auto()  #: what the client sends is not parsed any more; it has to hang up
    CLOSED = auto()  #: the stream is gone, or closing

    __hash__ = object.__hash__  # Enum's is a function in Python, and each event of an application looks its state up


class Trigger(Enum):
    """What moves a WebSocket beside the application's events, whose `type` is a trigger of its own."""

    REFUSED = auto()  #: the server refuses the handshake by itself
    ACCEPT_OVERDUE = auto()  #: the application did not answer the handshake in time
    APPLICATION_FAILED = auto()  #: it sent an event that is illegal or cannot be sent; nothing of a denial was written
    DENIAL_BROKEN = auto()  #: the same in the middle of a denial response
    DENIED = auto()  #: a denial response is complete
    ENDED = auto()  #: the dispatcher ends the connection
    SHUTDOWN = auto()  #: the process leaves
    CLOSE_RECEIVED = auto()  #: a close frame of the client's
    BAD_FRAME = auto()  #: the client broke the rules of the protocol
    PONG_OVERDUE = auto()  #: nothing has come since a ping
    SLOW = auto()  #: the client did not keep up with what groups and third parties send
    STALLED = auto()  #: the client takes nothing at all
    HUNG_UP = auto()  #: the client left while its stream was not read
    CLOSE_OVERDUE = auto()  #: the client did not hang up in time; all that we wrote has left
    SLOW_CLOSE_OVERDUE = auto()  #: the same, of a slow client: bytes wait for it still
    LOST = auto()  #: the stream is gone

    __hash__ = object.__hash__


class Action(Enum):
    """What the connection does, beside entering the next state."""

    ACCEPT = auto()  #: write the 101
    REFUSE = auto()  #: write a short response of ours, and close our direction
    DENY = auto()  #: write a part of the application's own response
    SEND = auto()  #: write a message
    CLOSE = auto()  #: write a close frame
    ANSWER_CLOSE = auto()  #: write the answer to the client's close frame, and hang up
    FAIL = auto()  #: write a close frame, and close our direction
    DRAIN = auto()  #: close our direction
    HANG_UP = auto()  #: close the stream; what is written leaves first
    ABORT = auto()  #: close the stream at once
    IGNORE = auto()  #: legal and without effect
    TOO_LATE = auto()  #: the sender did not know yet that the socket is closed: drop the event
    PROTOCOL_ERROR = auto()  #: the event is not legal here, and its application failed


Move = tuple[State, Action]

#: What an application may still send when the socket is closed for it.
_LATE_EVENTS = (
    "websocket.accept",
    "websocket.send",
    "websocket.close",
    "websocket.http.response.start",
    "websocket.http.response.body",
)


def _stays(state: State, *triggers: Trigger) -> dict[str | Trigger, Move]:
    """Triggers that come too late in `state`, which is ordinary, and move nothing."""
    return dict.fromkeys(triggers, (state, Action.IGNORE))


def _over(state: State) -> dict[str | Trigger, Move]:
    """The rows of a state in which all is written that the client will get."""
    moves: dict[str | Trigger, Move] = dict.fromkeys(_LATE_EVENTS, (state, Action.TOO_LATE))
    return moves | {
        Trigger.CLOSE_OVERDUE: (State.CLOSED, Action.HANG_UP),
        Trigger.SLOW_CLOSE_OVERDUE: (State.CLOSED, Action.ABORT),
        Trigger.STALLED: (State.CLOSED, Action.ABORT),
        Trigger.LOST: (State.CLOSED, Action.IGNORE),
        **_stays(state, Trigger.ACCEPT_OVERDUE, Trigger.ENDED, Trigger.SHUTDOWN, Trigger.PONG_OVERDUE, Trigger.SLOW),
    }


#: Every move: the next state, and what to do. A missing event of an application is its PROTOCOL_ERROR; a missing Trigger cannot occur.
MOVES: dict[State, dict[str | Trigger, Move]] = {
    State.CONNECTING: {
        "websocket.accept": (State.OPEN, Action.ACCEPT),
        "websocket.close": (State.DRAINING, Action.REFUSE),
        "websocket.http.response.start": (State.DENYING, Action.DENY),
        Trigger.REFUSED: (State.DRAINING, Action.REFUSE),
        Trigger.ACCEPT_OVERDUE: (State.DRAINING, Action.REFUSE),
        Trigger.APPLICATION_FAILED: (State.DRAINING, Action.REFUSE),
        Trigger.ENDED: (State.DRAINING, Action.REFUSE),
        Trigger.SHUTDOWN: (State.DRAINING, Action.REFUSE),
        Trigger.HUNG_UP: (State.CLOSED, Action.ABORT),
        Trigger.STALLED: (State.CLOSED, Action.ABORT),
        Trigger.LOST: (State.CLOSED, Action.IGNORE),
    },
    State.DENYING: {
        "websocket.http.response.body": (State.DENYING, Action.DENY),
        Trigger.APPLICATION_FAILED: (State.DRAINING, Action.REFUSE),
        # A response that ends in the middle must not look complete.
        Trigger.DENIAL_BROKEN: (State.CLOSED, Action.ABORT),
        Trigger.ENDED: (State.CLOSED, Action.ABORT),
        Trigger.DENIED: (State.DRAINING, Action.DRAIN),
        Trigger.HUNG_UP: (State.CLOSED, Action.ABORT),
        Trigger.STALLED: (State.CLOSED, Action.ABORT),
        Trigger.LOST: (State.CLOSED, Action.IGNORE),
        **_stays(State.DENYING, Trigger.ACCEPT_OVERDUE, Trigger.SHUTDOWN),
    },
    State.OPEN: {
        "websocket.send": (State.OPEN, Action.SEND),
        "websocket.close": (State.CLOSING, Action.CLOSE),
        # The next owner of an open socket accepts it, since it cannot know that it is open.
        "websocket.accept": (State.OPEN, Action.IGNORE),
        Trigger.APPLICATION_FAILED: (State.CLOSING, Action.CLOSE),
        Trigger.ENDED: (State.CLOSING, Action.CLOSE),
        Trigger.SHUTDOWN: (State.CLOSING, Action.CLOSE),
        Trigger.PONG_OVERDUE: (State.CLOSING, Action.CLOSE),
        Trigger.SLOW: (State.CLOSING, Action.CLOSE),
        Trigger.STALLED: (State.CLOSING, Action.CLOSE),
        Trigger.CLOSE_RECEIVED: (State.CLOSED, Action.ANSWER_CLOSE),
        Trigger.BAD_FRAME: (State.DRAINING, Action.FAIL),
        Trigger.HUNG_UP: (State.CLOSED, Action.ABORT),
        Trigger.LOST: (State.CLOSED, Action.IGNORE),
        **_stays(State.OPEN, Trigger.ACCEPT_OVERDUE),
    },
    State.CLOSING: {
        **_over(State.CLOSING),
        Trigger.CLOSE_RECEIVED: (State.CLOSED, Action.HANG_UP),
        Trigger.BAD_FRAME: (State.DRAINING, Action.DRAIN),
    },
    State.DRAINING: _over(State.DRAINING),
    # A read is parsed to its end: frames may stand behind the one that closed the socket.
    State.CLOSED: {**_over(State.CLOSED), **_stays(State.CLOSED, Trigger.CLOSE_RECEIVED, Trigger.BAD_FRAME)},
}

#: Third parties know a channel's name and nothing of its state: what they may send, and when.
PUSH_MOVES: dict[State, dict[str, Move]] = {
    State.OPEN: {
        "websocket.send": (State.OPEN, Action.SEND),
        "websocket.close": (State.CLOSING, Action.CLOSE),
    },
}


def transition(state: State, trigger: Trigger) -> Move:
    """What `trigger` means in `state`: the next state, and what to do. Raises KeyError where it cannot occur."""
    return MOVES[state][trigger]


def application_move(state: State, event_type: Any) -> Move:
    """What an event of the application means in `state`: the next state, and what to do."""
    return MOVES[state].get(event_type) or (state, Action.PROTOCOL_ERROR)


def push_move(state: State, event_type: Any) -> Move:
    """What an event of a third party means in `state`: Action.TOO_LATE where it can only be dropped, and counted."""
    return PUSH_MOVES.get(state, {}).get(event_type) or (state, Action.TOO_LATE)
