"""Events: the types of their values, and how much of a window each takes.

Scopes and events are ASGI's: dicts with string keys and values of the types bytes, str, int64, finite float, list (tuples become
lists), dict, bool or None. No other type is sent between processes: the error for one contains its path in the message, at once.
Source: ASGI specification, section "Events"; PROTOCOL.md, "Values".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from channel_layer.errors import InvalidMessage
from channel_layer.process.log_values import shown

Event = dict[str, Any]

#: Bytes of a window that every event takes beside its payload: an empty message needs memory too.
EVENT_OVERHEAD_BYTES: Final = 64

INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1
DEPTH_MAX: Final = 32


def check_value(value: Any, path: str = "message", depth: int = 0) -> None:
    """Raise InvalidMessage with the path of the first value that is not one of ASGI's types."""
    kind = type(value)
    if kind is bytes or kind is bool or value is None:
        return
    if isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, int):
        if not INT64_MIN <= value <= INT64_MAX:
            raise InvalidMessage(f"{path} is an int outside of 64 bits")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidMessage(f"{path} is {value}, which is not a finite float")
    elif depth >= DEPTH_MAX:
        raise InvalidMessage(f"{path} is nested deeper than {DEPTH_MAX} levels")
    elif isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise InvalidMessage(f"{path} has a key of type {type(key).__name__}; keys are str")
            if not key.isascii():
                _check_text(key, f"{path} has the key {shown(key)}, which")
            if not _is_plain(inner):
                check_value(inner, f"{path}[{key!r}]", depth + 1)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            if not _is_plain(inner):
                check_value(inner, f"{path}[{index}]", depth + 1)
    elif not isinstance(value, bytes):
        raise InvalidMessage(
            f"{path} is of type {kind.__name__}; allowed are bytes, str, int, float, list, dict, bool, None"
        )


def _is_plain(value: Any) -> bool:
    """True for most values that can be sent, at once: their paths are never written, which takes longer than the check."""
    kind = type(value)
    if kind is str:
        return bool(value.isascii())
    if kind is int:
        return bool(INT64_MIN <= value <= INT64_MAX)
    return kind is bytes or kind is bool or value is None


def _check_text(text: str, path: str) -> None:
    """Raise InvalidMessage for a text that has no UTF-8: `os.fsdecode` and `json.loads` make such ones."""
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        surrogate = f"U+{ord(text[error.start]):04X} at {error.start}"
        raise InvalidMessage(f"{path} contains half of a surrogate pair ({surrogate}), which has no UTF-8") from None


def check_message(message: Any) -> None:
    """Raise InvalidMessage unless `message` is a dict of ASGI types with a string `type`."""
    if not isinstance(message, dict):
        raise InvalidMessage(f"message is of type {type(message).__name__}; a message is a dict")
    if not isinstance(message.get("type"), str):
        raise InvalidMessage("message['type'] is missing or not a str")
    check_value(message)


def payload_size_bytes(event: Event) -> int:
    """The bytes that `event` takes of a window: its body, bytes or text (UTF-8 length), and the overhead."""
    return payload_sizes_bytes((event,))


def payload_sizes_bytes(events: Sequence[Event]) -> int:
    """The bytes that several events take of a window."""
    total = 0
    for event in events:
        total += EVENT_OVERHEAD_BYTES
        if payload := event.get("body") or event.get("bytes"):
            total += len(payload)
        elif text := event.get("text"):
            total += len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return total
