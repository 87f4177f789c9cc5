"""The life of one WebSocket as its client's side sees it: from the upgrade to the last byte.

    CONNECTING ──accept──▶ OPEN ──our close──▶ CLOSING ──their close──▶ CLOSED
        │                    └──their close, or a frame that breaks the rules──▶ DRAINING ──▶ CLOSED
        ├──response start──▶ DENYING ──last body──▶ DRAINING
        └──close, or the end of the application──▶ DRAINING

DRAINING has said its last word and only waits, for a bounded time, until the client hangs up: closing while bytes of the
client are unread would make the kernel send a reset, and a reset destroys what we said. RFC 6455, section 7.1.1.

No socket here: the shell asks what an event means, and obeys. Sources: ASGI specification, "WebSocket"; RFC 6455.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Any

from channel_layer.protocol.close_codes import (
    INTERNAL_ERROR,
    INVALID_PAYLOAD,
    NO_STATUS,
    NORMAL,
    PROTOCOL_ERROR,
    may_travel,
)


class State(Enum):
    CONNECTING = auto()  #: the application has not answered the handshake
    DENYING = auto()  #: it answers with an HTTP response of its own
    OPEN = auto()  #: messages flow both ways
    CLOSING = auto()  #: our close frame is on its way; what the client still says is read and dropped
    DRAINING = auto()  #: nothing of the client's is understood any more; waiting for it to hang up
    CLOSED = auto()  #: the transport is gone, or told to go


class Action(Enum):
    """What the shell must do with an event."""

    ACCEPT = auto()  #: write the 101
    REJECT = auto()  #: 403
    DENY = auto()  #: write a part of the application's own response
    SEND = auto()  #: write a message
    CLOSE = auto()  #: write a close frame
    SWALLOW = auto()  #: legal and without effect: the client has it already
    LATE = auto()  #: the application had not heard yet that it is over: drop
    BREAK = auto()  #: the event is not legal here; the application is at fault


#: What each event of the application means. A pair that is missing is Action.BREAK.
MOVES: dict[State, dict[str, Action]] = {
    State.CONNECTING: {
        "websocket.accept": Action.ACCEPT,
        "websocket.close": Action.REJECT,
        "websocket.http.response.start": Action.DENY,
    },
    State.DENYING: {
        "websocket.http.response.body": Action.DENY,
    },
    State.OPEN: {
        "websocket.send": Action.SEND,
        "websocket.close": Action.CLOSE,
        # A new owner of an open socket accepts it as it knows no better.
        "websocket.accept": Action.SWALLOW,
    },
}
#: What still comes when the last word is said.
_OVER = dict.fromkeys(
    (
        "websocket.accept",
        "websocket.send",
        "websocket.close",
        "websocket.http.response.start",
        "websocket.http.response.body",
    ),
    Action.LATE,
)
MOVES |= dict.fromkeys((State.CLOSING, State.DRAINING, State.CLOSED), _OVER)

#: Third parties know a channel's name and nothing of its state: what they may say, and when.
PUSH_MOVES: dict[State, dict[str, Action]] = {
    State.OPEN: {"websocket.send": Action.SEND, "websocket.close": Action.CLOSE},
}


def meaning(state: State, event_type: Any) -> Action:
    """What an event of the application's means in `state`."""
    return MOVES[state].get(event_type, Action.BREAK)


def push_meaning(state: State, event_type: Any) -> Action:
    """What an event of a third party's means in `state`: Action.LATE where it can only be dropped, and counted."""
    return PUSH_MOVES.get(state, {}).get(event_type, Action.LATE)


def sendable_code(code: object) -> int:
    """The code that is sent for an application's `code`: what may not travel would make the client report our fault.

    None and 1005 ("none was given") are a normal close; whatever else may not travel is the application's error.
    """
    if code is None or code == NO_STATUS:
        return NORMAL
    if isinstance(code, int) and may_travel(code):
        return code
    return INTERNAL_ERROR


def heard_close(payload: bytes) -> tuple[int | None, int, str]:
    """The client's close frame: (code to answer with, code for the application, reason).

    An empty one is answered by an empty one, and is 1005 to the application. Raises BadFrame with the code of the failure.
    """
    if not payload:
        return None, NO_STATUS, ""
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or not may_travel(code):
        raise BadFrame(PROTOCOL_ERROR, "invalid close code")
    try:
        return code, code, payload[2:].decode()
    except UnicodeDecodeError:
        raise BadFrame(INVALID_PAYLOAD, "close reason is not UTF-8") from None


class BadFrame(Exception):
    """The client broke the rules of the protocol: the connection fails with `code`."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason
