"""The state of one response: which event may come, how much of a body may pass, and when it is over.

It depends on no version of HTTP: HTTP/1 and HTTP/2 encode the events that pass in their own ways.

* The body of a response to HEAD, of a 204 or of a 304 is dropped; it counts as sent.
* A body longer than its Content-Length is cut there, and the response is over. A body shorter than its Content-Length is a fault,
  visible to the client only by a closed connection. `fault` names either.
* A field that has one value is sent once, even if the application repeats it: clients differ in how they read repeated fields.
* The connection decides how a message is framed: fields about it (`connection`, `transfer-encoding`, …) are removed.

No I/O here. Sources: ASGI specification, "HTTP & WebSocket"; RFC 9110, sections 6.4, 8.6 and 15.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum, auto
from typing import Protocol

from channel_layer.protocol.events import Event

Fields = Sequence[Sequence[bytes]]


class State(Enum):
    AWAITED = auto()  # neither status nor fields are known
    STREAMING = auto()  # status and fields have passed; the body passes
    OVER = auto()  # the last of it has passed


AWAITED, STREAMING, OVER = State
START, BODY, LAST = "start", "body", "last body"

#: Every legal move. An event after the end is ordinary (the application did not know of the end yet): it changes nothing.
MOVES: dict[tuple[State, str], State] = {
    (AWAITED, START): STREAMING,
    (STREAMING, BODY): STREAMING,
    (STREAMING, LAST): OVER,
    (OVER, START): OVER,
    (OVER, BODY): OVER,
    (OVER, LAST): OVER,
}

# Kinds of response fields with a meaning to the server, as bits: one `|` over all fields gives the kinds of a response.
PLAIN, LENGTH, HOP, CONNECTION, DATE, SERVER = 0, 1, 2, 4, 8, 16
KNOWN_KINDS = {
    b"content-length": LENGTH,
    b"transfer-encoding": HOP,
    b"keep-alive": HOP,
    b"upgrade": HOP,
    b"proxy-connection": HOP,
    b"connection": CONNECTION,
    b"date": DATE,
    b"server": SERVER,
}
#: Fields that have one value, each with a bit of its own (RFC 9110, 5.5 and 8 to 14; RFC 9111, 5).
_ONE_VALUE = b"age content-location content-range content-type etag expires last-modified location retry-after".split()
KNOWN_KINDS |= {name: SERVER << number for number, name in enumerate(_ONE_VALUE, 1)}
SINGLE = LENGTH | DATE | SERVER | sum(KNOWN_KINDS[name] for name in _ONE_VALUE)
NAMES_REMEMBERED_MAX = 1024
TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")

#: The kind of each name, as the application wrote it. Grows with the names in use up to the limit; then it is cleared.
_kinds: dict[bytes, int] = dict(KNOWN_KINDS)


class InvalidResponse(Exception):
    """The application's response cannot be encoded. Nothing of this event may be sent."""


def _learn(name: bytes) -> int:
    if type(name) is not bytes or TOKEN.fullmatch(name) is None:
        raise InvalidResponse(f"{name!r} is no name of a response field")
    if len(_kinds) >= NAMES_REMEMBERED_MAX:
        _kinds.clear()
        _kinds.update(KNOWN_KINDS)
    kind = _kinds[name] = KNOWN_KINDS.get(name.lower(), PLAIN)
    return kind


def kind_of(name: bytes) -> int:
    kind = _kinds.get(name)
    return _learn(name) if kind is None else kind


def kinds_of(fields: Fields) -> int:
    """All kinds among `fields`, as bits. Raises InvalidResponse for a name that is not a token."""
    found = PLAIN
    for name, _ in fields:
        kind = _kinds.get(name)
        found |= _learn(name) if kind is None else kind
    return found


def once(fields: Fields) -> Fields:
    """Return `fields` without repetitions of fields that have one value. A second value that differs is kept.

    Content-Length is known to be the same number each time, however it is written.
    """
    kept, seen = [], set()
    for name, value in fields:
        kind = kind_of(name)
        if kind & SINGLE:
            field = (kind, b"" if kind == LENGTH else value)
            if field in seen:
                continue
            seen.add(field)
        kept.append((name, value))
    return kept


class ResponseOutput(Protocol):
    """Receives the parts of one response that may pass, and frames them for one version of HTTP."""

    def headers(self, response: Response) -> None:
        """Status and fields are known."""

    def data(self, body: bytes, last: bool) -> None:
        """A part of the body. last: it is the final one."""


class ResponseSink(ResponseOutput, Protocol):
    """A connection of HTTP/1, or a stream of HTTP/2, to which one exchange at a time writes its response."""

    def send_remembered(self, events: Sequence[Event]) -> bool:
        """Write a complete response if its rendered head is remembered from an earlier one. Returns False if nothing is written."""

    def flush(self, size_bytes: int) -> bool:
        """Write the output of `headers` and `data`, about `size_bytes`. Returns False if the write buffer is above its mark."""

    def send_continue(self) -> None:
        """Write `100 Continue` now."""

    def end(self, keep_alive: bool) -> None:
        """The exchange is over. keep_alive: the connection may serve another request if nothing else forbids it."""

    def abort(self) -> None:
        """End in the middle of a response, so that the client can tell that something is missing."""

    def expect_response(self, within_s: float) -> None:
        """Call `Exchange.time_out` if no response has begun by then."""


class RequestSource(Protocol):
    """The reader of a connection of HTTP/1, or a stream of HTTP/2, from which one exchange at a time gets its request."""

    def pause_reading(self) -> None:
        """Pause reading the body: the application takes no more at present."""

    def resume_reading(self) -> None:
        """Read the body on: the application takes more."""

    @property
    def reading_paused(self) -> bool:
        """True if the request is not read at present, for any reason."""

    def rejected_request(self) -> tuple[tuple[str, int] | None, bytes, bytes]:
        """Peer, method and target of a request with a refused head, as far as they were read."""


class ResponseEncoder(Protocol):
    """Turn the events of one response into bytes."""

    response: Response

    def render(self, events: Sequence[Event]) -> list[bytes]:
        """The bytes of `events`, in pieces. Raises like `Response.play`."""


class Response:
    """The response to one request. `start` first, then `body` until `state` is OVER."""

    # All slots are set at once: on this hot path a default in the class would be found more slowly.
    __slots__ = ("_left_bytes", "bodiless", "close", "fault", "fields", "kinds", "length_bytes", "state", "status")

    def __init__(self, head_only: bool) -> None:
        """head_only: the request was a HEAD."""
        self.bodiless = head_only
        self.state = AWAITED
        self.status = 0
        self.fields: Fields = ()  #: as they may be sent: without fields about framing, but for Content-Length
        self.kinds = PLAIN
        self.length_bytes: int | None = None  #: what the application declared
        self.close = False  #: the application wants the connection closed afterwards
        self.fault = ""  #: why the body differs from its declared length; empty: it does not
        self._left_bytes: int | None = None

    def play(self, events: Sequence[Event], output: ResponseOutput) -> None:
        """Pass on the parts of `events` that may be sent.

        Raises InvalidResponse, KeyError, TypeError or ValueError for events that are no response; the state may have changed by then.
        """
        for event in events:
            kind = event["type"]
            if kind == "http.response.body":
                body = self.body(event)
                output.data(body, self.state is OVER)
            elif kind == "http.response.start":
                self.start(event)
                if self.state is STREAMING:
                    output.headers(self)
            else:
                raise InvalidResponse(f"an event of type {kind!r}")

    def start(self, event: Event) -> None:
        """`http.response.start`. Afterwards `status`, `fields`, `kinds`, `length_bytes`, `bodiless` and `close` are known."""
        if self.state is not AWAITED:
            self._move(START)
            return
        status = event["status"]
        if type(status) is not int or not 200 <= status <= 999:
            raise InvalidResponse(f"{status!r} is no status of a final response")
        self.fields = fields = event.get("headers") or ()
        kinds, repeated, length = PLAIN, PLAIN, None
        for name, value in fields:
            kind = _kinds.get(name)
            if kind != PLAIN:
                if kind is None:
                    kind = _learn(name)
                if kind == LENGTH:
                    length = _length(value, length)
                repeated |= kinds & kind
                kinds |= kind
        if repeated & SINGLE:
            self.fields = once(fields)
        if status == 204 or status == 304:
            self.bodiless = True
        self.status, self.kinds = status, kinds
        if length is not None:
            self.length_bytes = length
            if not self.bodiless:
                self._left_bytes = length
        if kinds & (HOP | CONNECTION) or (status == 204 and kinds & LENGTH):
            self._remove_framing_fields()
        self.state = STREAMING

    def body(self, event: Event) -> bytes:
        """`http.response.body`: as much of it as may be sent. Check `state` and `fault` afterwards."""
        more = event.get("more_body", False)
        if self.state is not STREAMING:
            self._move(BODY if more else LAST)
            return b""
        body = event.get("body", b"")
        if type(body) is not bytes:
            raise InvalidResponse(f"a body of type {type(body).__name__}")
        if self.bodiless:
            body = b""
        elif self._left_bytes is not None:
            if len(body) > self._left_bytes:
                self.fault = "longer than its Content-Length"
                body, more = body[: self._left_bytes], False
            self._left_bytes -= len(body)
        if not more:
            self.state = OVER
            if self._left_bytes:
                self.fault = "shorter than its Content-Length"
        return body

    def _move(self, kind: str) -> None:
        moved = MOVES.get((self.state, kind))
        if moved is None:
            raise InvalidResponse(f"{kind} while the response is {self.state.name.lower()}")
        self.state = moved

    def _remove_framing_fields(self) -> None:
        if self.kinds & (HOP | CONNECTION):
            self.close = any(kind_of(name) == CONNECTION and b"close" in value.lower() for name, value in self.fields)
            self.fields = [field for field in self.fields if kind_of(field[0]) not in (HOP, CONNECTION)]
        if self.status == 204 and self.length_bytes is not None:
            self.fields = [field for field in self.fields if kind_of(field[0]) != LENGTH]
            self.kinds &= ~LENGTH
            self.length_bytes = None


def _length(value: bytes, before: int | None) -> int:
    """before: the value of an earlier field; two that are equal count as one."""
    length = int(value) if value.isdigit() and len(value) <= 19 else None
    if length is None or before not in (None, length):
        raise InvalidResponse("Content-Length is no number, or two")
    return length
