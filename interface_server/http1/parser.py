"""The requests in the bytes of one connection: llhttp's callbacks, put in order and under limits.

Of each request come its checked head, the parts of its body, and its end. What llhttp cannot do is done here:

* It buffers partial heads, trailers and chunk extensions inside itself, so the bytes that were fed are counted: more than a
  head's limit without a head or a part of a body coming out of it ends the connection.
* It stops at every request for an upgrade and takes its body for the new protocol. We speak none but WebSocket, so for all
  others a new parser goes on behind the head; a head of our own gives it the framing of the body.
* It complains of bytes behind a request that was the last one. They belong to no request, and are ignored.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Any, Final

from httptools import HttpParserError, HttpParserInvalidMethodError, HttpParserUpgrade, HttpRequestParser

from interface_server.http.answers import RequestError
from interface_server.http.request import Head
from interface_server.http1.head import VERSIONS, check_head, plain_head
from interface_server.http1.parsing_state import (
    BEHIND,
    HEAD,
    ON_END,
    ON_HEAD,
    ON_OTHER_PARSER,
    ON_READ_OVER,
    ON_UPGRADE,
    UPGRADE,
    ParsingState,
)
from interface_server.settings import InterfaceSettings

#: The method of the preface with which HTTP/2 begins where the client knows that it is spoken (RFC 9113, 3.4).
HTTP2: Final = b"PRI"
#: Fields that end the connection for llhttp, wherever they stand.
OF_THE_CONNECTION: Final = frozenset((b"connection", b"proxy-connection"))
#: What looks like a request with a method that llhttp does not know.
METHOD: Final = re.compile(rb"[\r\n]*[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?: |\Z)")


class RequestEnd(Enum):
    """The end of a request, as a `RequestItem`."""

    END = auto()  # its last byte is here


END: Final = RequestEnd.END
#: What a request is made of, in this order: its head with all fields, any number of parts of its body, its end.
RequestItem = tuple[Head, list[tuple[bytes, bytes]]] | bytes | RequestEnd


class RequestParser:
    """The parser of one connection, from its first byte to its last request. Its states are those of parsing_state.py."""

    __slots__ = (
        "_body_bytes",
        "_fed_bytes",
        "_fields",
        "_head",
        "_head_max",
        "_parsed",
        "_parser",
        "_settings",
        "_state",
        "_target",
    )

    def __init__(self, parsed: list[Any], settings: InterfaceSettings) -> None:
        """parsed: each `RequestItem` is appended to it."""
        self._parsed = parsed
        self._settings = settings
        self._head_max = settings.head_size_bytes_max
        self._parser: Any = HttpRequestParser(self)  # None: no request comes any more
        self._state: ParsingState = HEAD
        self._target = b""
        self._fields: list[tuple[bytes, bytes]] = []
        self._head: Head | None = None  # of the request with a body under way
        self._fed_bytes = 0  # since something came out
        self._body_bytes = 0

    def receive_data(self, data: bytes) -> bytes | None:
        """Take the bytes of one read. The bytes behind a head that asks for WebSocket are returned, and that is the end.

        Raises RequestError; nothing may be fed afterwards.
        """
        while True:
            parser = self._parser
            if parser is None:
                return None
            self._fed_bytes += len(data)
            try:
                parser.feed_data(data)
                break
            except HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
                if self._head is not None and self._head.upgrade:
                    return data
                if not self._go_on_behind_upgrade() or not data:
                    return None
            except HttpParserError as error:
                if self._parser is None:
                    return None
                # Raised from where it is made: a name for it here would be a reference cycle by way of its traceback.
                raise _refusal(error, parser.get_method(), b"" if self._state is BEHIND else data) from None
        if self._fed_bytes > self._head_max:
            raise RequestError(431, "the request head is too large", "head_too_large")
        if not self._target:
            if self._state is BEHIND:
                self._state = ON_READ_OVER[self._state]
        elif len(self._fields) > self._settings.header_fields_max:  # in here each takes forty times the bytes of `A:`
            raise RequestError(431, "too many header fields", "too_many_fields")
        return None

    @property
    def body_left_bytes(self) -> int:
        """The bytes that are still to come of a body with a declared length: in there no other request begins."""
        head = self._head
        return (head.length_bytes or 0) - self._body_bytes if head is not None else 0

    @property
    def in_body(self) -> bool:
        """True if a request's head has come, but not its end."""
        return self._head is not None

    def in_head(self, data: bytes) -> bool:
        """True if a head has begun and not ended, `data` being the last read. Line ends before a head are no part of it."""
        return self._head is None and (self._target != b"" or (self._fed_bytes > 0 and data.strip(b"\r\n") != b""))

    def refused(self) -> tuple[bytes, bytes]:
        """Method and target of the refused head, as far as they were read; empty without a target."""
        return (self._parser.get_method(), self._target) if self._target and self._parser is not None else (b"", b"")

    def close(self) -> None:
        """Drop llhttp's parser, which refers to us as we to it, and the fields of an incomplete head. Nothing is fed any more."""
        self._parser = None
        self._fields = []

    # What llhttp calls.

    def on_url(self, url: bytes) -> None:
        self._target += url
        if len(self._target) > self._settings.target_size_bytes_max:
            raise RequestError(414, "the request target is too long", "target_too_long")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head is None:  # else it is a trailer, or a head of ours
            # llhttp leaves white space at the end (and has refused all but spaces and tabs).
            self._fields.append((name.lower(), value.rstrip()))
        elif name.lower() in OF_THE_CONNECTION:  # llhttp would apply it, when much is written already (RFC 9110, 6.5.1)
            raise RequestError(400, f"{name.decode()} has no place in a trailer", "trailer")

    def on_headers_complete(self) -> None:
        parser = self._parser
        if parser is None:  # a head of ours; one behind the last that was served
            return
        settings = self._settings
        target = self._target
        fields, self._fields = self._fields, []
        if (self._state is BEHIND or self._fed_bytes > self._head_max) and _size_bytes(target, fields) > self._head_max:
            raise RequestError(431, "the request head is too large", "head_too_large")
        if len(fields) > settings.header_fields_max:
            raise RequestError(431, "too many header fields", "too_many_fields")
        method = parser.get_method()
        head = plain_head(method, target, parser.get_http_version, fields) if parser.should_keep_alive() else None
        if head is None:
            head = check_head(method, target, parser.get_http_version(), fields)
        moves = ON_HEAD
        if head.semantic_fields:
            length = head.length_bytes
            if length and 0 < settings.body_size_bytes_max < length:
                raise RequestError(413, "the request body is too large", "body_too_large")
            if length is None:
                _allow_spaces_behind_sizes(parser)
            if b"upgrade" in head.semantic_fields:
                if parser.should_upgrade():
                    moves = ON_UPGRADE
                if head.upgrade:
                    _check_handshake(head)
        self._state = moves[self._state]
        self._head = head
        self._target = b""  # kept until here, for `refused`
        self._fed_bytes = self._body_bytes = 0
        self._parsed.append((head, fields))

    def on_body(self, part: bytes) -> None:
        self._fed_bytes = 0
        self._body_bytes += len(part)
        limit = self._settings.body_size_bytes_max
        if 0 < limit < self._body_bytes:
            raise RequestError(413, "the request body is too large", "body_too_large")
        self._parsed.append(part)

    def on_message_complete(self) -> None:
        self._fed_bytes = 0
        head = self._head
        if head is None:  # of a request behind the last that was served
            return
        if self._state is UPGRADE and (head.upgrade or head.length_bytes != 0):
            return  # a WebSocket's head has no end; a body comes by another parser
        self._head = None
        self._state = ON_END[self._state]
        if not head.keep_alive:
            self._parser = None
        self._parsed.append(END)

    # Upgrades.

    def _go_on_behind_upgrade(self) -> bool:
        """Make another parser for the bytes behind the head. Returns False if nothing may be parsed any more."""
        if self._parser is None:
            return False
        parser = HttpRequestParser(self)
        if self._head is not None:
            self._parser = None  # so that the head of ours is reported to no one
            parser.feed_data(_framing_only(self._head))
            self._target = b""
            self._state = ON_OTHER_PARSER[self._state]
            _allow_spaces_behind_sizes(parser)
        self._parser = parser
        return True


def _size_bytes(target: bytes, fields: list[tuple[bytes, bytes]]) -> int:
    return len(target) + sum(len(name) + len(value) + 4 for name, value in fields)


def _check_handshake(head: Head) -> None:
    if head.method != "GET":
        raise RequestError(405, "a WebSocket begins with GET", "websocket_method")
    if head.length_bytes != 0:
        raise RequestError(400, "a WebSocket handshake has no body", "websocket_body")


def _framing_only(head: Head) -> bytes:
    framing = b"transfer-encoding: chunked" if head.length_bytes is None else b"content-length: %d" % head.length_bytes
    return b"POST / HTTP/1.1\r\nhost: again\r\n%b\r\n\r\n" % framing


def _allow_spaces_behind_sizes(parser: Any) -> None:
    """Allow white space behind the size of a chunk (RFC 9112, 7.1.1): no reader finds another size by it.

    White space elsewhere in a chunk extension llhttp refuses under any setting.
    """
    parser.set_dangerous_leniencies(lenient_spaces_after_chunk_size=True)


def _refusal(error: HttpParserError, method: bytes, data: bytes) -> RequestError:
    """The error of llhttp, or of a callback of ours, as a RequestError. data: with which the request began, if that is known."""
    cause = error.__context__
    if isinstance(cause, RequestError):
        return cause
    if cause is not None:
        raise cause  # a bug of ours must not look like the client's fault
    if method == HTTP2:
        return RequestError(505, VERSIONS, "version")
    if isinstance(error, HttpParserInvalidMethodError) and METHOD.match(data):
        return RequestError(501, "this method is not implemented", "method")
    return RequestError(400, str(error), "malformed")
