"""The states of one WebSocket, from the upgrade to the last byte, and every move between them.

    CONNECTING ──accept──▶ OPEN ──our close──▶ CLOSING ──their close, or too late──▶ CLOSED
        │                   ├──their close, which we answer──▶ CLOSED
        │                   └──a frame that breaks the rules──▶ DRAINING ──the client hangs up, or too late──▶ CLOSED
        ├──response start──▶ DENYING ──last of its body──▶ DRAINING
        └──close, or a refusal of ours──▶ DRAINING

A frame that breaks the rules leads from CLOSING to DRAINING too. The loss of the stream, and an abort, lead to CLOSED from every state.

In DRAINING the server has written its last byte and waits, for a bounded time, until the client hangs up: closing while bytes of the
client are unread would make the kernel send a reset, and a reset destroys what was written last. RFC 6455, section 7.1.1.

No socket here: the connection looks up what an event means, and performs it. Sources: ASGI specification, "WebSocket"; RFC 6455.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Any, Final

from channel_layer.protocol.illegal_move import IllegalMove


class WebSocketState(Enum):
    CONNECTING = auto()  #: the application has not answered the handshake
    DENYING = auto()  #: the application answers with an HTTP response of its own
    OPEN = auto()  #: messages flow both ways
    CLOSING = auto()  #: the server has written a close frame; messages of the client are dropped
    DRAINING = auto()  #: the client's bytes are no longer parsed; it has to hang up
    CLOSED = auto()  #: the stream is gone, or closing

    # Enum's own is a function in Python. Without it each event of the application costs 0.2 µs less.
    __hash__ = object.__hash__


class WebSocketTrigger(Enum):
    """A trigger of a move, beside the application's events, which are triggers by their `type`."""

    REFUSED = auto()  #: the server refuses the handshake
    ACCEPT_OVERDUE = auto()  #: the application did not answer the handshake in time
    APPLICATION_FAILED = auto()  #: it sent an invalid event; nothing of a denial response is written
    DENIAL_BROKEN = auto()  #: it sent an invalid event in the middle of a denial response
    DENIED = auto()  #: a denial response is complete
    ENDED = auto()  #: the dispatcher ends the connection
    SHUTDOWN = auto()  #: the process stops
    CLOSE_RECEIVED = auto()  #: the client sent a close frame
    BAD_FRAME = auto()  #: the client broke the rules of the protocol
    PONG_OVERDUE = auto()  #: no byte has come since a ping
    SLOW = auto()  #: the client did not keep up with what groups and third parties send
    STALLED = auto()  #: the client takes nothing at all
    HUNG_UP = auto()  #: the client left while its stream was paused
    CLOSE_OVERDUE = auto()  #: the client did not hang up in time; nothing waits to be written
    SLOW_CLOSE_OVERDUE = auto()  #: a client that was closed as slow did not hang up in time; bytes still wait for it
    LOST = auto()  #: the stream has ended

    __hash__ = object.__hash__


class Action(Enum):
    """The action of the connection when it enters the next state."""

    ACCEPT = auto()  #: write the 101
    REFUSE = auto()  #: write a short response of the server's, and close our direction
    DENY = auto()  #: write a part of the application's own response
    SEND = auto()  #: write a message
    CLOSE = auto()  #: write a close frame
    ANSWER_CLOSE = auto()  #: write the answer to the client's close frame, and hang up
    FAIL = auto()  #: write a close frame, and close our direction
    DRAIN = auto()  #: close our direction
    HANG_UP = auto()  #: close the stream; what is written leaves first
    ABORT = auto()  #: close the stream at once
    IGNORE = auto()  #: legal and without effect
    TOO_LATE = auto()  #: the sender did not know yet that the socket is closing: drop the event
    PROTOCOL_ERROR = auto()  #: illegal here: the application failed


Move = tuple[WebSocketState, Action]

_S: Final = WebSocketState
_T: Final = WebSocketTrigger

#: In these states whatever an application sends comes too late: it did not know yet that the socket is closing.
_ENDING: Final = frozenset((_S.CLOSING, _S.DRAINING, _S.CLOSED))


def _stays(state: WebSocketState, *triggers: WebSocketTrigger) -> dict[str | WebSocketTrigger, Move]:
    """Moves for triggers that are too late in `state`: legal, and without effect."""
    return dict.fromkeys(triggers, (state, Action.IGNORE))


def _over(state: WebSocketState) -> dict[str | WebSocketTrigger, Move]:
    """Moves of a state in which no message follows."""
    return {
        _T.CLOSE_OVERDUE: (_S.CLOSED, Action.HANG_UP),
        _T.SLOW_CLOSE_OVERDUE: (_S.CLOSED, Action.ABORT),
        _T.STALLED: (_S.CLOSED, Action.ABORT),
        _T.LOST: (_S.CLOSED, Action.IGNORE),
        **_stays(state, _T.ACCEPT_OVERDUE, _T.ENDED, _T.SHUTDOWN, _T.PONG_OVERDUE, _T.SLOW),
    }


#: Every move: the next state, and what to do. An event of an application that is missing is a PROTOCOL_ERROR, or TOO_LATE in a
#: state of _ENDING; a trigger that is missing cannot occur.
MOVES: Final[dict[WebSocketState, dict[str | WebSocketTrigger, Move]]] = {
    _S.CONNECTING: {
        "websocket.accept": (_S.OPEN, Action.ACCEPT),
        "websocket.close": (_S.DRAINING, Action.REFUSE),
        "websocket.http.response.start": (_S.DENYING, Action.DENY),
        _T.REFUSED: (_S.DRAINING, Action.REFUSE),
        _T.ACCEPT_OVERDUE: (_S.DRAINING, Action.REFUSE),
        _T.APPLICATION_FAILED: (_S.DRAINING, Action.REFUSE),
        _T.ENDED: (_S.DRAINING, Action.REFUSE),
        _T.SHUTDOWN: (_S.DRAINING, Action.REFUSE),
        _T.HUNG_UP: (_S.CLOSED, Action.ABORT),
        _T.STALLED: (_S.CLOSED, Action.ABORT),
        _T.LOST: (_S.CLOSED, Action.IGNORE),
    },
    _S.DENYING: {
        "websocket.http.response.body": (_S.DENYING, Action.DENY),
        _T.APPLICATION_FAILED: (_S.DRAINING, Action.REFUSE),
        # A response that breaks off must not look complete.
        _T.DENIAL_BROKEN: (_S.CLOSED, Action.ABORT),
        _T.ENDED: (_S.CLOSED, Action.ABORT),
        _T.DENIED: (_S.DRAINING, Action.DRAIN),
        _T.HUNG_UP: (_S.CLOSED, Action.ABORT),
        _T.STALLED: (_S.CLOSED, Action.ABORT),
        _T.LOST: (_S.CLOSED, Action.IGNORE),
        **_stays(_S.DENYING, _T.ACCEPT_OVERDUE, _T.SHUTDOWN),
    },
    _S.OPEN: {
        "websocket.send": (_S.OPEN, Action.SEND),
        "websocket.close": (_S.CLOSING, Action.CLOSE),
        # The next owner of an open socket accepts it, since it cannot know that it is open.
        "websocket.accept": (_S.OPEN, Action.IGNORE),
        _T.APPLICATION_FAILED: (_S.CLOSING, Action.CLOSE),
        _T.ENDED: (_S.CLOSING, Action.CLOSE),
        _T.SHUTDOWN: (_S.CLOSING, Action.CLOSE),
        _T.PONG_OVERDUE: (_S.CLOSING, Action.CLOSE),
        _T.SLOW: (_S.CLOSING, Action.CLOSE),
        _T.STALLED: (_S.CLOSING, Action.CLOSE),
        _T.CLOSE_RECEIVED: (_S.CLOSED, Action.ANSWER_CLOSE),
        _T.BAD_FRAME: (_S.DRAINING, Action.FAIL),
        _T.HUNG_UP: (_S.CLOSED, Action.ABORT),
        _T.LOST: (_S.CLOSED, Action.IGNORE),
        **_stays(_S.OPEN, _T.ACCEPT_OVERDUE),
    },
    _S.CLOSING: {
        **_over(_S.CLOSING),
        _T.CLOSE_RECEIVED: (_S.CLOSED, Action.HANG_UP),
        _T.BAD_FRAME: (_S.DRAINING, Action.DRAIN),
    },
    _S.DRAINING: _over(_S.DRAINING),
    # A read is parsed to its end: frames may follow the one that closed the socket.
    _S.CLOSED: {
        **_over(_S.CLOSED),
        **_stays(_S.CLOSED, _T.CLOSE_RECEIVED, _T.BAD_FRAME),
    },
}

#: Events that third parties may send, and when. They know a channel's name, but not its state.
PUSH_MOVES: Final[dict[WebSocketState, dict[str, Move]]] = {
    _S.OPEN: {
        "websocket.send": (_S.OPEN, Action.SEND),
        "websocket.close": (_S.CLOSING, Action.CLOSE),
    },
}


def transition(state: WebSocketState, trigger: WebSocketTrigger) -> Move:
    """The move for `trigger` in `state`. Raises IllegalMove where it cannot occur."""
    try:
        return MOVES[state][trigger]
    except KeyError:
        raise IllegalMove(f"{trigger.name} while {state.name}") from None


def application_move(state: WebSocketState, event_type: Any) -> Move:
    """The move for an event of the application in `state`."""
    return MOVES[state].get(event_type) or (state, Action.TOO_LATE if state in _ENDING else Action.PROTOCOL_ERROR)


def push_move(state: WebSocketState, event_type: Any) -> Move:
    """The move for an event of a third party in `state`: Action.TOO_LATE where it can only be dropped and counted."""
    return PUSH_MOVES.get(state, {}).get(event_type) or (state, Action.TOO_LATE)
