"""The events of a response as HTTP/1 bytes.

A response that is complete at once gets a Content-Length and is written as one piece of bytes. A response in parts is chunked for
HTTP/1.1, and ends with the connection for HTTP/1.0.

* No output can be read as more than one message: names are tokens, and a head has exactly as many line ends as
  lines. A response that breaks this raises InvalidResponse before a byte of it is written (the caller answers 500).
* `Connection: close` is sent whenever we will close.

No I/O and no clock here. RFC 9112, 6 and 7.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from channel_layer.protocol.events import Event
from interface_server.groups.interfaces import PushedMessage
from interface_server.http.default_headers import DefaultHeaders, has_line_ends
from interface_server.http.response import Response
from interface_server.http.response_head import (
    CONNECTION,
    DATE,
    HOP,
    LENGTH,
    SERVER,
    STATUS_LINES,
    Fields,
    InvalidResponse,
)

#: Up to this size a whole response is joined into one piece of bytes; a larger one is written in pieces, uncopied.
JOINED_SIZE_BYTES_MAX: Final = 16 * 1024
HEAD_REMEMBERED_SIZE_BYTES_MAX: Final = 1024
HEADS_REMEMBERED_MAX: Final = 1024

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK: Final = b"0\r\n\r\n"


class RenderedHeadCache:
    """Cache of response heads that were checked and rendered before.

    Applications send the same head again and again. A rendered head is found by the size of the response's body, and used again
    if status and fields are equal: a comparison costs a tenth of the work.
    """

    __slots__ = ("_remembered", "default_headers")

    def __init__(self, default_headers: DefaultHeaders) -> None:
        self.default_headers = default_headers
        self._remembered: dict[int, tuple[int, Fields, bytes, bytes]] = {}

    def lookup(self, events: Sequence[Any]) -> bytes | None:
        """The bytes of a whole response, if its head is remembered; else None. Only for a request that is `Head.fast_path`."""
        if len(events) != 2:
            return None
        start, end = events[0], events[1]
        if type(start) is not dict or type(end) is not dict:
            return None  # no event at all: the long way raises the error
        body = end.get("body", b"")
        if type(body) is not bytes or (found := self._remembered.get(len(body))) is None:
            return None
        status, fields, above, below = found
        if (
            (start.get("headers") or ()) == fields
            and (found_status := start.get("status")) == status
            and type(found_status) is int
            and not end.get("more_body")
            and start.get("type") == "http.response.start"
            and end.get("type") == "http.response.body"
        ):
            return b"".join((above, self.default_headers.all, below, body))
        return None

    def remember(self, size_bytes: int, status: int, fields: Fields, above: bytes, below: bytes) -> None:
        """Keep for `lookup` the lines above and below our own, in a response with a body of this size."""
        if size_bytes > JOINED_SIZE_BYTES_MAX or len(above) > HEAD_REMEMBERED_SIZE_BYTES_MAX:
            return
        if len(self._remembered) >= HEADS_REMEMBERED_MAX:
            self._remembered.clear()
        self._remembered[size_bytes] = status, fields, above, below


class Http1Encoder:
    """One response on its way into an HTTP/1 connection: a `ResponseOutput`."""

    __slots__ = ("_chunked", "_heads", "_http11", "_is_head_due", "_pieces", "keep_alive", "response")

    def __init__(self, response: Response, http11: bool, keep_alive: bool, heads: RenderedHeadCache) -> None:
        """http11: the request was HTTP/1.1. keep_alive: the connection may serve another request as far as is known now."""
        self.response = response
        self.keep_alive = keep_alive  #: the connection may serve another request afterwards
        self._http11 = http11
        self._heads = heads
        self._chunked = False
        self._is_head_due = False  # the status is known; its head is not written
        self._pieces: list[bytes] = []

    @property
    def framed(self) -> bool:
        """True if the client would notice that the response is incomplete. False if the connection's end is the end of the body."""
        return self._chunked or bool(self.response.kinds & LENGTH)

    def headers(self, response: Response) -> None:
        self._is_head_due = True

    def frame(self, pushed: PushedMessage) -> bytes:
        """The bytes of a part of the body that is not the application's. A chunk is built once for all its receivers."""
        body: bytes = pushed.event["body"]
        if not self._chunked or not body:
            return body
        if pushed.chunk is None:
            pushed.chunk = b"%x\r\n%b\r\n" % (len(body), body)
        return pushed.chunk

    def data(self, body: bytes, last: bool) -> None:
        """Raises InvalidResponse for a head that cannot be written."""
        if self._is_head_due:
            self._add_head(len(body) if last else None)
        if self._chunked:
            self._add_chunk(body, last)
        elif body:
            self._pieces.append(body)

    def take(self) -> list[bytes]:
        """Return the bytes since the last call, in pieces. Raises InvalidResponse for a head that cannot be written."""
        if self._is_head_due:
            self._add_head(None)
        pieces, self._pieces = self._pieces, []
        return pieces

    def render(self, events: Sequence[Event]) -> list[bytes]:
        """The bytes of `events`, in pieces. Raises like `Response.play`."""
        self.response.play(events, self)
        return self.take()

    def _add_chunk(self, body: bytes, last: bool) -> None:
        if body:
            self._pieces += (b"%x\r\n" % len(body), body, b"\r\n")
        if last:
            self._chunked = False  # a late event adds nothing
            self._pieces.append(LAST_CHUNK)

    def _add_head(self, whole_length: int | None) -> None:
        """whole_length: the size of a body that is complete already."""
        self._is_head_due = False
        response, lines = self.response, self._heads.default_headers
        status, kinds = response.status, response.kinds
        own = [STATUS_LINES[status]]
        for name, value in response.fields:
            own += (name, b": ", value, b"\r\n")
        above = b"".join(own)
        if not has_line_ends(above, len(response.fields) + 1):
            raise InvalidResponse("a value of a response field holds a line end or NUL")
        below = b"" if kinds & LENGTH or response.bodiless else self._framing(whole_length)
        if not self.keep_alive or response.close:
            self.keep_alive = False
            below += b"connection: close\r\n\r\n"
        elif self._http11:
            below += b"\r\n"
            if whole_length is not None and self._may_be_remembered(whole_length):
                self._heads.remember(whole_length, status, response.fields, above, below)
        else:
            below += b"connection: keep-alive\r\n\r\n"
        self._pieces += (above, lines.lines_for(kinds) if kinds & (DATE | SERVER) else lines.all, below)

    def _may_be_remembered(self, whole_length: int) -> bool:
        response = self.response
        fits = response.length_bytes is None or response.length_bytes == whole_length
        return fits and not response.bodiless and not response.kinds & (HOP | CONNECTION | DATE | SERVER)

    def _framing(self, whole_length: int | None) -> bytes:
        if whole_length is not None:
            return b"content-length: %d\r\n" % whole_length
        if self._http11:
            self._chunked = True
            return b"transfer-encoding: chunked\r\n"
        self.keep_alive = False
        return b""
