"""Frames as a server writes them: unmasked and whole, each as one `bytes`. Of a client's: whole messages, and the payload of a close.

A frame is the same for every socket that does not compress, so a message to a group is built once and written by all.
RFC 6455, section 5.2; permessage-deflate's bit is RFC 7692, section 6.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from channel_layer.protocol.close_codes import (
    INVALID_PAYLOAD,
    NO_STATUS,
    PROTOCOL_ERROR,
    REASON_SIZE_BYTES_MAX,
    may_travel,
)
from channel_layer.protocol.events import Event

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

FIN: Final = 0x80
COMPRESSED: Final = 0x40  #: RSV1, on the first frame of a compressed message only
MASKED: Final = 0x80  #: beside the length
MASK_SIZE_BYTES: Final = 4

_SHORT: Final = Struct("!BB").pack
_MIDDLE: Final = Struct("!BBH").pack
_LONG: Final = Struct("!BBQ").pack

#: Heads of whole text and binary messages of up to 125 bytes. Nearly all messages are, and a look-up is cheaper than packing.
_TEXT_HEADS: Final = tuple(_SHORT(FIN | TEXT, size) for size in range(126))
_BINARY_HEADS: Final = tuple(_SHORT(FIN | BINARY, size) for size in range(126))


class BadFrame(Exception):
    """The client broke the rules of the protocol. The connection fails with `code`."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


def frame(first_byte: int, payload: bytes) -> bytes:
    """A frame with `payload`. `first_byte` is the opcode with its flags."""
    size = len(payload)
    if size < 126:
        return _SHORT(first_byte, size) + payload
    if size < 65_536:
        return _MIDDLE(first_byte, 126, size) + payload
    return _LONG(first_byte, 127, size) + payload


def message_frame(event: Event) -> bytes:
    """The frame of one whole `websocket.send`.

    Raises TypeError or UnicodeEncodeError if the event has neither bytes nor encodable text: a bug of its sender.
    """
    payload = event.get("bytes")
    if payload is None:
        payload = event["text"].encode() if event.get("text") is not None else _nothing()
        return _TEXT_HEADS[len(payload)] + payload if len(payload) < 126 else frame(FIN | TEXT, payload)
    return _BINARY_HEADS[len(payload)] + payload if len(payload) < 126 else frame(FIN | BINARY, payload)


def message_payload(event: Event) -> tuple[int, bytes]:
    """Opcode and payload of one `websocket.send` that is compressed or fragmented. Raises like `message_frame`."""
    payload = event.get("bytes")
    if payload is not None:
        return BINARY, payload + b""  # fails here if it is not bytes, before anything is written
    text = event.get("text")
    return TEXT, text.encode() if text is not None else _nothing()


def whole_message(data: bytes, size_bytes_max: int) -> tuple[bytes, bool] | None:
    """The message of a client that `data` is, in one frame and not compressed: its payload, and whether it is binary.

    None for everything else, which is for the parser: several frames, a part of one, a control frame, a length of 64 bits, a message of
    more than `size_bytes_max` (0: no limit), and what breaks a rule. Nearly all messages are short, and come like this.
    """
    if len(data) < 2 + MASK_SIZE_BYTES:
        return None
    first, size, start = data[0], data[1] - MASKED, 2
    if first != FIN | TEXT and first != FIN | BINARY:
        return None
    if size == 126:
        size, start = data[2] << 8 | data[3], 4
        if size < 126:
            return None  # a longer form than it needs
    elif not 0 <= size <= 125:
        return None
    start += MASK_SIZE_BYTES
    if len(data) != start + size or 0 < size_bytes_max < size:
        return None
    return unmasked(data[start:], data[start - MASK_SIZE_BYTES : start]), first == FIN | BINARY


def unmasked(payload: bytes, mask: bytes) -> bytes:
    """A short payload without the mask of its frame. One xor of long integers: 0.7 µs for 64 bytes, where a call into C takes 3.3."""
    size = len(payload)
    key = int.from_bytes((mask * ((size >> 2) + 1))[:size], "little")
    return (int.from_bytes(payload, "little") ^ key).to_bytes(size, "little")


def close_frame(code: int | None, reason: str = "") -> bytes:
    """A close frame; an empty one if there is no code. A long reason is cut at the end of a character."""
    if code is None:
        return _SHORT(FIN | CLOSE, 0)
    return frame(FIN | CLOSE, code.to_bytes(2, "big") + cut_reason(reason))


def parse_close(payload: bytes) -> tuple[int | None, int, str]:
    """Parse a client's close frame: (code to answer with, code for the application, reason).

    An empty one is answered by an empty one, and the application gets 1005. Raises BadFrame with the code of the failure.
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


def cut_reason(reason: str) -> bytes:
    """`reason` in UTF-8, cut to at most 123 bytes at the end of a character."""
    encoded = reason.encode("utf-8", "replace")
    if len(encoded) <= REASON_SIZE_BYTES_MAX:
        return encoded
    return encoded[:REASON_SIZE_BYTES_MAX].decode("utf-8", "ignore").encode()


def _nothing() -> bytes:
    raise TypeError("websocket.send carries neither bytes nor text")
