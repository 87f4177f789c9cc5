"""Ways in which the server ends a WebSocket: the close frame, the response during the handshake, the application's code.

No I/O here. The table in state.py decides which of these applies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from channel_layer.protocol.close_codes import (
    ABNORMAL,
    INTERNAL_ERROR,
    NO_STATUS,
    NORMAL,
    SERVICE_RESTART,
    TRY_AGAIN_LATER,
    may_travel,
)
from channel_layer.protocol.events import Event
from interface_server.connections.interfaces import EndReason

RETRY_AFTER: Final = b"retry-after: 1\r\n"
PING_TIMEOUT: Final = "ping timeout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Termination:
    """One way to end. `why` and `reason` are short texts for people."""

    status: int = 0  #: of the response during the handshake
    why: str = ""  #: the body of that response
    field_line: bytes = b""  #: one more line of its head, or nothing
    code: int = ABNORMAL  #: of the close frame, while open
    reason: str = ""
    application_code: int = ABNORMAL  #: of the application's disconnect, if no close frame is written
    counter: str = ""  #: `aborted.<counter>` counts streams that are aborted in this way


FULL: Final = Termination(status=503, why="too many connections", field_line=RETRY_AFTER)
ACCEPT_TOO_LATE: Final = Termination(status=504, why="the application did not answer the handshake in time")
LEAVING: Final = Termination(
    status=503,
    why="the server is stopping",
    field_line=RETRY_AFTER,
    code=SERVICE_RESTART,
    reason="the server is stopping",
)
APPLICATION_FAILED: Final = Termination(
    status=500,
    why="the application failed",
    code=INTERNAL_ERROR,
    reason="the application failed",
    application_code=INTERNAL_ERROR,
    counter="denial_cut",
)
NOTHING_MORE: Final = Termination()  #: all is written
PONG_TOO_LATE: Final = Termination(code=INTERNAL_ERROR, reason=PING_TIMEOUT)
TOO_SLOW: Final = Termination(code=TRY_AGAIN_LATER, reason="slow", counter="stalled")
HUNG_UP: Final = Termination(counter="hung_up")


def asked_for(event: Event) -> Termination:
    """The end that a `websocket.close` asks for, of the application or of a third party."""
    return Termination(
        status=403,
        why="the application refused the WebSocket",
        code=sendable_code(event.get("code")),
        reason=str(event.get("reason") or ""),
    )


def ended_by_dispatcher(end_reason: EndReason) -> Termination:
    """The end that the dispatcher decided. FINISHED is a normal close, which needs no reason."""
    return Termination(
        status=end_reason.status,
        why=end_reason.why,
        field_line=RETRY_AFTER if end_reason.status == 503 else b"",
        code=end_reason.close_code,
        reason="" if end_reason is EndReason.FINISHED else end_reason.why,
        counter="denial_cut",
    )


def sendable_code(code: object) -> int:
    """The code to send for an application's `code`. A code that may not travel would make the client report a protocol error.

    None and 1005 ("none was given") are a normal close. Any other code that may not travel becomes 1011: the application's error.
    """
    if code is None or code == NO_STATUS:
        return NORMAL
    if isinstance(code, int) and may_travel(code):
        return code
    return INTERNAL_ERROR
