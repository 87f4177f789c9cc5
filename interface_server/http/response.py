"""The state of one response: which event may come, how much body may pass, when it is over.

It depends on no version of HTTP: each encodes the events that pass in its own way.

* The body of a response to HEAD, of a 204 or of a 304 is dropped; it counts as sent.
* A body longer than its Content-Length is cut there, and the response is over. A body shorter than its Content-Length is a fault,
  visible to the client only by a closed connection. `fault` names either.
* A field that has one value is sent once, even if the application repeats it: clients differ in how they read repeated fields.
* The connection decides how a message is framed: fields about it (`connection`, `transfer-encoding`, …) are removed.

No I/O here. Sources: ASGI specification, "HTTP & WebSocket"; RFC 9110, sections 6.4, 8.6 and 15.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from typing import Final, Protocol

from channel_layer.protocol.events import Event
from channel_layer.protocol.server_sent_events import takes_events
from interface_server.http.response_head import (
    CONNECTION,
    HOP,
    LENGTH,
    PLAIN,
    SINGLE,
    Fields,
    InvalidResponse,
    kind_by_name,
    kind_of,
    learn,
    once,
)


class ResponseState(Enum):
    """How much of the response the application has sent."""

    AWAITED = auto()  # neither status nor fields are known
    STREAMING = auto()  # status and fields have passed; the body passes
    OVER = auto()  # the last of it has passed


AWAITED: Final = ResponseState.AWAITED
STREAMING: Final = ResponseState.STREAMING
OVER: Final = ResponseState.OVER
START: Final = "start"
BODY: Final = "body"
LAST: Final = "last body"

#: Every legal move. An event after the end is ordinary (the application did not know of the end yet): it changes nothing.
MOVES: Final[dict[tuple[ResponseState, str], ResponseState]] = {
    (AWAITED, START): STREAMING,
    (STREAMING, BODY): STREAMING,
    (STREAMING, LAST): OVER,
    (OVER, START): OVER,
    (OVER, BODY): OVER,
    (OVER, LAST): OVER,
}
#: The moves of an ordinary response, looked up once.
BEGUN: Final = MOVES[AWAITED, START]
ENDED: Final = MOVES[STREAMING, LAST]


class ResponseOutput(Protocol):
    """Receives the parts of one response that may pass, and frames them for one version of HTTP."""

    def headers(self, response: Response) -> None:
        """Frame the head: status and fields are known."""

    def data(self, body: bytes, last: bool) -> None:
        """Frame a part of the body. last: it is the final one."""


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

    @property
    def takes_events(self) -> bool:
        """True if it is an event stream that has begun and has not ended: others than the application may write events into it."""
        return self.state is STREAMING and not self.bodiless and takes_events(self.fields)

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
            kind = kind_by_name.get(name)
            if kind != PLAIN:
                if kind is None:
                    kind = learn(name)
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
        self.state = BEGUN

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
            self.state = ENDED
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
