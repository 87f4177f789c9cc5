"""Handshake of a WebSocket: checks the head of its request, and renders the answer.

The head is that of a GET without a body. HTTP/1's parser has parsed it, and it is not parsed a second time: two parsers that disagree
are an attack. Checked here are the version (else 426), the key (else 400) and the subprotocols. Then the application decides: its
`websocket.accept` becomes a 101, its `websocket.http.response.start` a response like any other (`ResponseEncoder`), anything else a
short refusal.

No I/O here. RFC 6455, sections 4.2 and 11.3; ASGI specification, "WebSocket" and "WebSocket denial response".
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import sha1
from typing import Final

from channel_layer.protocol.events import Event
from interface_server.http.default_headers import DefaultHeaders
from interface_server.http.interfaces import ResponseEncoder
from interface_server.http.response import ResponseState
from interface_server.http.response_head import STATUS_LINES, TOKEN, Fields, InvalidResponse, kinds_of, once

_MAGIC: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY_SIZE_BYTES: Final = 16
_VALUE_HARM: Final = re.compile(rb"[\x00\r\n]")
_PROTOCOL: Final = b"sec-websocket-protocol"
#: The worker keeps every subprotocol while the socket is open; a short one takes twenty times its bytes.
SUBPROTOCOLS_MAX: Final = 100

#: Header fields of the handshake itself, which an application's accept cannot repeat or change.
_OURS: Final = frozenset(
    (
        b"connection",
        b"upgrade",
        b"sec-websocket-accept",
        b"sec-websocket-extensions",
        b"content-length",
        b"transfer-encoding",
    )
)


class BadHandshake(Exception):
    """The head is not that of a supported WebSocket handshake."""

    def __init__(self, status: int, why: str, field_line: bytes = b"") -> None:
        super().__init__(status, why)
        self.status = status
        self.why = why
        self.field = field_line  #: a header line of the response that helps the client, or nothing


@dataclass(frozen=True, slots=True)
class Offer:
    """The client's key, subprotocols and extensions."""

    key: bytes = b""
    subprotocols: list[str] = field(default_factory=list)
    extensions: bytes = b""  #: its `Sec-WebSocket-Extensions`, joined; empty when there are none


class Handshake:
    """One handshake, from its head to its answer."""

    __slots__ = ("_encode_denial", "_lines", "_response", "_start", "begun", "client", "offer", "target")

    def __init__(self, scope: Event, lines: DefaultHeaders, encode_denial: Callable[[], ResponseEncoder]) -> None:
        """scope: of the connection, for the access log. lines: the header lines that the server adds to every response.

        encode_denial: makes an encoder for a response of the application's own, after which the connection closes.
        """
        query, below = scope["query_string"], len(scope["root_path"].encode())
        self.client = scope["client"]
        self.target: bytes = scope["raw_path"][below:] + (b"?" + query if query else b"")  #: as it came
        self._lines = lines
        self._encode_denial = encode_denial
        self._response: ResponseEncoder | None = None
        self._start: Event | None = None  # of a denial: the head is sent with the first part of the body
        self.offer = Offer()
        self.begun = False  #: True if any byte of a denial is sent

    def check(self, headers: Fields) -> list[str]:
        """Check the head and return the subprotocols that the client offers. Raises BadHandshake."""
        self.offer = check(headers)
        return self.offer.subprotocols

    def accept(self, event: Event, extension: str) -> bytes:
        """Render the 101 for a `websocket.accept`. Raises InvalidResponse."""
        headers = once(event.get("headers") or ())
        default_lines = self._lines.lines_for(kinds_of(headers))
        subprotocol = event.get("subprotocol")
        if subprotocol is not None and subprotocol not in self.offer.subprotocols:
            # The client would have to fail: RFC 6455, 4.1.
            raise InvalidResponse(f"subprotocol {subprotocol!r} was not offered")
        return accepted(self.offer.key, subprotocol, headers, extension=extension, default_lines=default_lines)

    def refuse(self, status: int, why: str, field_line: bytes) -> bytes:
        """Render a complete response of the server's own. field_line: one more line of the head, or nothing."""
        body = why.encode() + b"\n"
        rest = b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        return b"".join((STATUS_LINES[status], self._lines.all, field_line, rest, body))

    def deny(self, event: Event) -> bytes:
        """The bytes of one event of a denial response. Raises like ResponseEncoder.render."""
        event = {**event, "type": event["type"].removeprefix("websocket.")}
        if self._response is None:
            self._response = self._encode_denial()
            self._start = event
            return b""
        start, self._start = self._start, None
        pieces = self._response.render([event] if start is None else [start, event])
        self.begun = True
        return b"".join(pieces)

    @property
    def over(self) -> bool:
        """True if the last byte of a denial is rendered."""
        return self._response is not None and self._response.response.state is ResponseState.OVER

    @property
    def fault(self) -> str:
        """Why the body of a denial differs from its declared length; empty if it does not."""
        return self._response.response.fault if self._response is not None else ""

    @property
    def fields(self) -> Fields:
        """The header fields of the denial."""
        return self._response.response.fields if self._response is not None else ()

    @property
    def status(self) -> int:
        """The status of the denial."""
        return self._response.response.status if self._response is not None else 0


def check(headers: Fields) -> Offer:
    """The offer of a client with these header fields, names in lower case. Raises BadHandshake."""
    values: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        if name.startswith(b"sec-websocket-"):
            values.setdefault(name, []).append(value)
    if values.get(b"sec-websocket-version") != [b"13"]:
        raise BadHandshake(426, "this server speaks WebSocket version 13", b"sec-websocket-version: 13\r\n")
    return Offer(
        _checked_key(values.get(b"sec-websocket-key", [])),
        _subprotocols(values.get(_PROTOCOL, [])),
        b", ".join(values.get(b"sec-websocket-extensions", [])),
    )


def accepted(
    key: bytes, subprotocol: str | None = None, headers: Fields = (), *, extension: str = "", default_lines: bytes = b""
) -> bytes:
    """The 101. `headers` are the application's; `default_lines` are the header lines that the server adds to every response.

    Raises InvalidResponse if a value of the application would break the head.
    """
    left_out = _OURS
    pieces = [b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n", default_lines]
    pieces += (b"sec-websocket-accept: ", accept_token(key), b"\r\n")
    if subprotocol is not None:
        left_out = _OURS | {_PROTOCOL}
        pieces += (_PROTOCOL, b": ", _checked_subprotocol(subprotocol), b"\r\n")
    if extension:
        pieces += (b"sec-websocket-extensions: ", extension.encode("ascii"), b"\r\n")
    for name, value in headers:
        if TOKEN.fullmatch(name) is None or _VALUE_HARM.search(value):
            raise InvalidResponse(f"header {name!r} holds what no header may hold")
        if name.lower() not in left_out:
            pieces += (name, b": ", value, b"\r\n")
    pieces.append(b"\r\n")
    return b"".join(pieces)


def accept_token(key: bytes) -> bytes:
    """`Sec-WebSocket-Accept`, which proves that the server has understood the handshake. RFC 6455, section 4.2.2."""
    return b64encode(sha1(key + _MAGIC, usedforsecurity=False).digest())


def _checked_key(keys: list[bytes]) -> bytes:
    try:
        if len(keys) == 1 and len(b64decode(keys[0], validate=True)) == _KEY_SIZE_BYTES:
            return keys[0]
    except Base64Error:
        pass
    raise BadHandshake(400, "Sec-WebSocket-Key is not 16 bytes in base64")


def _subprotocols(values: Iterable[bytes]) -> list[str]:
    names = [name.strip(b" \t") for value in values for name in value.split(b",")]
    names = [name for name in names if name]
    if len(names) > SUBPROTOCOLS_MAX:
        raise BadHandshake(400, "too many subprotocols")
    if not all(TOKEN.fullmatch(name) for name in names):
        raise BadHandshake(400, "Sec-WebSocket-Protocol is not a list of tokens")
    return [name.decode("ascii") for name in names]


def _checked_subprotocol(subprotocol: str) -> bytes:
    encoded = subprotocol.encode("utf-8", "replace")
    if TOKEN.fullmatch(encoded) is None:
        raise InvalidResponse(f"subprotocol {subprotocol!r} is not a token")
    return encoded
