"""The state of one response: which event may come, how much of a body may pass, and when it is over.

It depends on no version of HTTP: HTTP/1 and HTTP/2 turn what passes into their own bytes.

* What a response to HEAD, a 204 or a 304 carries as body is left behind; it counts as carried.
* What exceeds the declared Content-Length is left behind, and the response is over there. What falls short is a fault that
  only a closed connection can tell the client. Either is named by `fault`.
* A field that has one value is sent once, where the application repeats it: clients differ in what they make of it.
* How a message is framed is the connection's affair: fields about it (`connection`, `transfer-encoding`, …) are taken out.

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
    AWAITED = auto()  # nothing of the response is known yet
    STREAMING = auto()  # status and fields have passed; the body passes
    OVER = auto()  # the last of it has passed


AWAITED, STREAMING, OVER = State
START, BODY, LAST = "start", "body", "last body"

#: Every legal move. An event after the end is ordinary (the application did not know of it yet): it moves nothing.
MOVES: dict[tuple[State, str], State] = {
    (AWAITED, START): STREAMING,
    (STREAMING, BODY): STREAMING,
    (STREAMING, LAST): OVER,
    (OVER, START): OVER,
    (OVER, BODY): OVER,
    (OVER, LAST): OVER,
}

# What a response field means to the server, as bits, so that one `|` over all fields gives what is there.
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

#: Name as it came to its kind. Grows with the names that applications use, up to the limit; then it is begun anew.
_kinds: dict[bytes, int] = dict(KNOWN_KINDS)


class InvalidResponse(Exception):
    """The application's response cannot be put on any wire. Nothing of this event may be sent."""


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
    """All kinds among `fields`, as bits. Raises InvalidResponse for a name that is none."""
    found = PLAIN
    for name, _ in fields:
        kind = _kinds.get(name)
        found |= _learn(name) if kind is None else kind
    return found


def once(fields: Fields) -> Fields:
    """`fields` without the repeated ones of those that have one value. A second value that differs stays as it is.

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
    """Takes what may pass of one response, in the framing of one version of HTTP."""

    def headers(self, response: Response) -> None:
        """Status and fields are known."""

    def data(self, body: bytes, last: bool) -> None:
        """A part of the body. last: nothing comes behind it."""


class ResponseSink(ResponseOutput, Protocol):
    """A connection of HTTP/1, or a stream of HTTP/2, to which one exchange at a time writes its response."""

    def send_remembered(self, events: Sequence[Event]) -> bool:
        """Write a complete response if its rendered head is remembered from an earlier one. False: nothing is written."""

    def flush(self, size_bytes: int) -> bool:
        """Write what `headers` and `data` brought, about `size_bytes`. False: the write buffer is above its mark."""

    def send_continue(self) -> None:
        """Write `100 Continue` now."""

    def end(self, keep_alive: bool) -> None:
        """The exchange is over. keep_alive: the connection may serve another request if nothing else forbids it."""

    def abort(self) -> None:
        """End in the middle of a response, so that the client can tell that something is missing."""

    def expect_response(self, within_s: float) -> None:
        """Call `Exchange.time_out` if no response has begun by then."""

    def pause_reading(self) -> None:
        """The application takes no more of the body at present."""

    def resume_reading(self) -> None:
        """The application takes more of the body."""

    @property
    def reading_paused(self) -> bool:
        """True if the request is not read at present, for whatever reason."""

    def rejected_request(self) -> tuple[tuple[str, int] | None, bytes, bytes]:
        """Peer, method and target of a request that was refused before its head was complete, as far as they were read."""


class ResponseEncoder(Protocol):
    """Pipeline the events of one response into bytes."""

    response: Response

    def render(self, events: Sequence[Event]) -> list[bytes]:
        """The bytes of `events`, in pieces. Raises like `Response.play`."""


class Response:
    """The response to one request. `start` first, then `body` until `state` is OVER."""

    # Slots, all of them set at once: on this hot path a default that stands in the class is found more slowly.
    __slots__ = ("_left_bytes", "bodiless", "close", "fault", "fields", "kinds", "length_bytes", "state", "status")

    def __init__(self, head_only: bool) -> None:
        """head_only: the request was a HEAD."""
        self.bodiless = head_only
        self.state = AWAITED
        self.status = 0
        self.fields: Fields = ()  #: as they may go out, framing taken out but for Content-Length
        self.kinds = PLAIN
        self.length_bytes: int | None = None  #: what the application declared
        self.close = False  #: the application wants the connection closed afterwards
        self.fault = ""  #: why the response is not what it declared to be; empty: it is
        self._left_bytes: int | None = None

    def play(self, events: Sequence[Event], output: ResponseOutput) -> None:
        """Let pass what may pass of `events`.

        Raises InvalidResponse, KeyError, TypeError or ValueError for events that are no response; the state may have moved then.
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
        """`http.response.body`: as much of it as may pass. Look at `state` and `fault` afterwards."""
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
