"""Checks the events of a WebSocket: which ones an application may send, and in which order.

    CONNECTING ──accept──▶ OPEN ──close──▶ CLOSED
        ├──close (a rejection)─────────────▶ CLOSED
        └──response start──▶ DENYING ──last body──▶ CLOSED
    any ──client gone──▶ GONE

The twin of http_state.py. Sources: ASGI specification, "HTTP & WebSocket" and
"WebSocket Denial Response"; RFC 6455.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from enum import Enum, auto
from typing import Any, Final

from channel_layer.protocol.close_codes import ABNORMAL, NO_STATUS, NORMAL, REASON_SIZE_BYTES_MAX, may_travel
from channel_layer.protocol.codec import pack_threadsafe
from channel_layer.protocol.events import EVENT_OVERHEAD_BYTES, Event, check_value
from channel_layer.protocol.illegal_move import legal_move
from worker.asgi.header_fields import checked_fields
from worker.asgi.http_state import NOTHING, PART_SIZE_BYTES_MAX, as_bytes, checked_body, checked_start, wrong_event
from worker.errors import InvalidEvent

Step = tuple[Event, int, "WebSocketStage"]

STATE_SIZE_BYTES_MAX: Final = 16_384

_is_token: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch


class WebSocketStage(Enum):
    """The state of a WebSocket. LEGAL has the events that may be sent in each."""

    __hash__ = object.__hash__  # by identity; Enum's own is Python code, and stands in every look-up

    CONNECTING = "the handshake has not been answered"
    OPEN = "the WebSocket is open"
    DENYING = "the handshake is being answered with a response"
    CLOSED = "the application has closed the WebSocket"
    GONE = "the connection has ended"

    @property
    def meaning(self) -> str:
        """The state in words, for messages."""
        return str(self.value)


CONNECTING: Final = WebSocketStage.CONNECTING
OPEN: Final = WebSocketStage.OPEN
DENYING: Final = WebSocketStage.DENYING
CLOSED: Final = WebSocketStage.CLOSED
GONE: Final = WebSocketStage.GONE


class HandOff(Enum):
    """How far the hand-off of an instance is."""

    NOT_ASKED = auto()
    ASKED = auto()  #: it gets no further event; the hand-off is sent when it waits in receive()
    SENT = auto()  #: another worker is being found; sends of this instance wait until it gets its disconnect


NOT_ASKED: Final = HandOff.NOT_ASKED
ASKED: Final = HandOff.ASKED
SENT: Final = HandOff.SENT

#: From each state to those that may follow. A disconnect ends every hand-off.
HAND_OFF_MOVES: Final = {NOT_ASKED: (ASKED, NOT_ASKED), ASKED: (SENT, NOT_ASKED), SENT: (NOT_ASKED,)}


def hand_off_step(before: HandOff, after: HandOff) -> HandOff:
    """Move to `after`. Raises IllegalMove if the table has no such move: an error in this program."""
    return legal_move(HAND_OFF_MOVES, before, after, "a hand-off")


def websocket_step(stage: WebSocketStage, event: Any) -> Step:
    """Check one event of the application in `stage`. Raises as http_step does."""
    try:
        check = LEGAL[stage][event["type"]]
    except (KeyError, TypeError):
        raise wrong_event(stage.meaning, LEGAL[stage], event, KNOWN) from None
    return check(event)


#: From each stage to the one after the connection has ended, the move that no event of the application makes. A second end is
#: ordinary: an instance whose client has left may be stopped.
AFTER_DISCONNECT: Final = dict.fromkeys(WebSocketStage, GONE)


def disconnect_step(stage: WebSocketStage) -> WebSocketStage:
    """The stage after the connection has ended."""
    return AFTER_DISCONNECT[stage]


def check_offered(accept: Event, offered: Iterable[str]) -> None:
    """Raise InvalidEvent if the client did not offer the subprotocol: it would fail the connection (RFC 6455, section 4.1)."""
    chosen = accept["subprotocol"]
    if chosen is not None and chosen not in offered:
        listed = ", ".join(offered) or "none"
        raise InvalidEvent(f"subprotocol is {chosen!r}, which the client did not offer (it offered: {listed})")


def close_event(stage: WebSocketStage, last: Event) -> tuple[int, str]:
    """Code and reason of the disconnect event after the application's own last event; 1006 if it had not accepted."""
    if stage is OPEN:
        return last["code"], last["reason"]
    return ABNORMAL, ""


def message_parts(event: Event) -> Iterator[tuple[Event, int]]:
    """A long message as several events with their sizes; all but the last have `more_body`. Characters are not split."""
    if "bytes" in event:
        yield from _marked("bytes", list(_slices(event["bytes"])))
    else:
        yield from _marked("text", list(_text_slices(event["text"].encode())))


def _accept(event: Any) -> Step:
    subprotocol = event.get("subprotocol")
    if subprotocol is not None and (not isinstance(subprotocol, str) or not _is_token(subprotocol)):
        raise InvalidEvent(f"subprotocol is {subprotocol!r}, which is not a token")
    headers = checked_fields(event.get("headers"))
    checked = {"type": "websocket.accept", "subprotocol": subprotocol and str(subprotocol), "headers": headers}
    resumable = event.get("resumable", False)
    if resumable:
        if resumable is not True and resumable != "crash":
            raise InvalidEvent(f"resumable is {resumable!r}; it is True or 'crash'")
        checked["resumable"] = resumable
    return checked, EVENT_OVERHEAD_BYTES, OPEN


def _state(event: Any) -> Step:
    """The state that the next instance of this WebSocket gets."""
    state = event.get("state")
    check_value(state, "state")
    size = len(pack_threadsafe(state))
    if size > STATE_SIZE_BYTES_MAX:
        raise InvalidEvent(f"state has {size} bytes once packed; at most {STATE_SIZE_BYTES_MAX} may be left")
    return {"type": "towpath.state", "state": state}, EVENT_OVERHEAD_BYTES, OPEN


def _send(event: Any) -> Step:
    text, payload = event.get("text"), event.get("bytes")
    if (text is None) == (payload is None):
        raise InvalidEvent("a message has either text or bytes, and exactly one of them")
    if text is None:
        payload = payload if type(payload) is bytes else as_bytes(payload, "bytes")
        return {"type": "websocket.send", "bytes": payload}, len(payload) + EVENT_OVERHEAD_BYTES, OPEN
    if type(text) is not str:
        text = _as_text(text, "text")
    size = len(text) if text.isascii() else _encoded_size_bytes(text, "text")
    return {"type": "websocket.send", "text": text}, size + EVENT_OVERHEAD_BYTES, OPEN


def _close(event: Any) -> Step:
    reason = _as_text(event.get("reason") or "", "reason")
    if _encoded_size_bytes(reason, "reason") > REASON_SIZE_BYTES_MAX:
        raise InvalidEvent(f"reason is longer than {REASON_SIZE_BYTES_MAX} bytes")
    checked = {"type": "websocket.close", "code": _close_code(event.get("code")), "reason": reason}
    return checked, EVENT_OVERHEAD_BYTES, CLOSED


def _deny(event: Any) -> Step:
    return checked_start(event), EVENT_OVERHEAD_BYTES, DENYING


def _deny_more(event: Any) -> Step:
    checked = checked_body(event)
    stage = DENYING if checked["more_body"] else CLOSED
    return checked, len(checked["body"]) + EVENT_OVERHEAD_BYTES, stage


def _close_code(code: Any) -> int:
    """The code to send: 1000 if the application gave none, since 1005 ("no status") may not be sent."""
    if code is None or code == NO_STATUS:
        return NORMAL
    if not isinstance(code, int) or isinstance(code, bool):
        raise InvalidEvent(f"code is of type {type(code).__name__}; it is an int")
    if not may_travel(code):
        raise InvalidEvent(f"code is {code}, which may not be sent: registered codes, or from 3000 to 4999")
    return int(code)


def _as_text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise InvalidEvent(f"{path} is of type {type(value).__name__}; it is a str")
    return str.__str__(value)


def _encoded_size_bytes(text: str, path: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidEvent(f"{path} holds a lone surrogate at {error.start}, which UTF-8 cannot encode") from None


def _slices(payload: bytes) -> Iterator[bytes]:
    for start in range(0, len(payload), PART_SIZE_BYTES_MAX):
        yield payload[start : start + PART_SIZE_BYTES_MAX]


def _text_slices(encoded: bytes) -> Iterator[str]:
    start = 0
    while start < len(encoded):
        end = min(start + PART_SIZE_BYTES_MAX, len(encoded))
        while end < len(encoded) and encoded[end] & 0xC0 == 0x80:  # inside a character: go back to its first byte
            end -= 1
        yield encoded[start:end].decode()
        start = end


def _marked(key: str, parts: list[Any]) -> Iterator[tuple[Event, int]]:
    for number, part in enumerate(parts, 1):
        size = len(part) if key == "bytes" else len(part.encode())
        event: Event = {"type": "websocket.send", key: part}
        if number < len(parts):
            event["more_body"] = True
        yield event, size + EVENT_OVERHEAD_BYTES


#: From each stage to the types of the events that may be sent in it, with the functions that check them.
LEGAL: Final[dict[WebSocketStage, dict[Any, Callable[[Any], Step]]]] = {
    CONNECTING: {"websocket.accept": _accept, "websocket.close": _close, "websocket.http.response.start": _deny},
    OPEN: {"websocket.send": _send, "websocket.close": _close, "towpath.state": _state},
    DENYING: {"websocket.http.response.body": _deny_more},
    CLOSED: {},
    GONE: NOTHING,
}

KNOWN: Final = frozenset(kind for legal in LEGAL.values() for kind in legal)
