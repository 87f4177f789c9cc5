"""Messages to a client from outside of its application instance: to a WebSocket a message or a close, to an event stream bytes.

The sender checks, so that an error is raised where it was made. The process that holds the socket checks too, since not every
sender runs this code. Source: ASGI specification, "HTTP" and "WebSocket"; RFC 6455, sections 5.5.1 and 7.4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from channel_layer.errors import InvalidMessage, MessageTooLarge
from channel_layer.process.log_values import shown
from channel_layer.protocol.close_codes import NO_STATUS, NORMAL, REASON_SIZE_BYTES_MAX, may_travel
from channel_layer.protocol.events import Event, payload_size_bytes

#: The owner of a reply channel keeps a message about missed ones for each membership.
REPORT_SIZE_BYTES_MAX: Final = 4_096


def is_for_clients(kind: Any) -> bool:
    """True if a message of this type is for clients. All others are for applications."""
    return isinstance(kind, str) and kind in CHECKS


def socket_message(message: Event) -> Event:
    """The part of `message` that a socket carries out. Raises InvalidMessage if no socket can carry it out."""
    kind = message.get("type")
    check = CHECKS.get(kind) if isinstance(kind, str) else None
    if check is None:
        raise InvalidMessage(f"message['type'] is {shown(kind)}; a client can be sent {_TYPES}")
    return check(message)


def misfit(kind: str, channel: str) -> InvalidMessage:
    """The error of a message of this type to a reply channel that never takes such."""
    why = "it is of the other protocol, or no event stream"
    return InvalidMessage(f"message['type'] is {kind!r}, which {channel} cannot take: {why}")


def report_message(report: Any = None) -> Event | None:
    """The message that a client gets when messages to a group were missed; None if `report` is None or False: it gets none.

    Raises InvalidMessage, MessageTooLarge.
    """
    if report is None or report is False:
        return None
    if not isinstance(report, dict):
        raise InvalidMessage(f"report_missed is {shown(report)}; for a client it is the message that it gets, a dict")
    message = socket_message(report)
    if (size_bytes := payload_size_bytes(message)) > REPORT_SIZE_BYTES_MAX:
        raise MessageTooLarge(f"report_missed takes {size_bytes} bytes; at most {REPORT_SIZE_BYTES_MAX} are kept")
    return message


def _send(message: Event) -> Event:
    text, payload = message.get("text"), message.get("bytes")
    if (text is None) == (payload is None):
        raise InvalidMessage("a websocket.send has either message['text'] or message['bytes'], and exactly one of them")
    if text is None:
        return {"type": "websocket.send", "bytes": _of(payload, bytes, "bytes")}
    _encoded(text, "text")
    return {"type": "websocket.send", "text": text}


def _close(message: Event) -> Event:
    code, reason = message.get("code"), message.get("reason") or ""
    if code is None or code == NO_STATUS:
        code = NORMAL
    if type(code) is not int or not may_travel(code):
        raise InvalidMessage(f"message['code'] is {shown(code)}; it is a registered close code, or from 3000 to 4999")
    if len(_encoded(reason, "reason")) > REASON_SIZE_BYTES_MAX:
        raise InvalidMessage(f"message['reason'] is longer than {REASON_SIZE_BYTES_MAX} bytes")
    return {"type": "websocket.close", "code": code, "reason": reason}


def _body(message: Event) -> Event:
    """Bytes of an event stream. Unlike in ASGI `more_body` is true unless it is given: the stream goes on."""
    body, more_body = message.get("body", b""), message.get("more_body", True)
    return {
        "type": "http.response.body",
        "body": _of(body, bytes, "body"),
        "more_body": _of(more_body, bool, "more_body"),
    }


def _of(value: Any, kind: type, key: str) -> Any:
    if not isinstance(value, kind):
        raise InvalidMessage(f"message[{key!r}] is of type {type(value).__name__}; it is {kind.__name__}")
    return value


def _encoded(text: Any, key: str) -> bytes:
    try:
        encoded: bytes = _of(text, str, key).encode()
        return encoded
    except UnicodeEncodeError as error:
        raise InvalidMessage(
            f"message[{key!r}] holds a lone surrogate at {error.start}, which UTF-8 cannot encode"
        ) from None


CHECKS: Final[dict[str, Callable[[Event], Event]]] = {
    "websocket.send": _send,
    "websocket.close": _close,
    "http.response.body": _body,
}
_TYPES: Final = ", ".join(CHECKS)
