"""The connection of an exchange, as the exchange sees it: a source of its request, a sink of its response.

The reader and the writer of an HTTP/1 connection implement them. Another version of HTTP would bring its own two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from channel_layer.protocol.events import Event
from interface_server.access_log.access_log import AccessLog
from interface_server.groups.interfaces import PushedMessage
from interface_server.http.request import Head
from interface_server.http.response import Response, ResponseOutput


class ResponseSink(ResponseOutput, Protocol):
    """The writer of an HTTP/1 connection: one exchange at a time writes its response to it."""

    @property
    def access_log(self) -> AccessLog:
        """The access log of its exchange. Asked for once."""

    def send_remembered(self, events: Sequence[Event]) -> bool:
        """Write a complete response if its rendered head is remembered from an earlier one. Returns False if nothing is written."""

    def flush(self, size_bytes: int) -> bool:
        """Write the output of `headers` and `data`, about `size_bytes`. Returns False if the write buffer is above its mark."""

    def send_continue(self) -> None:
        """Write `100 Continue` now."""

    def end(self, keep_alive: bool) -> None:
        """End the exchange. keep_alive: the connection may serve another request if nothing else forbids it."""

    def abort(self) -> None:
        """End in the middle of a response, so that the client can tell that something is missing."""

    def push(self, pushed: PushedMessage) -> None:
        """Write a part of the body that is not the application's, in front of what it sends next.

        What of such parts a client has not taken is bounded; beyond the bound it is disconnected, and `Exchange.leave` called.
        """

    def expect_response(self, within_s: float) -> None:
        """Call `Exchange.time_out` if no response has begun by then."""


class RequestSource(Protocol):
    """The reader of an HTTP/1 connection: one exchange at a time gets its request from it."""

    def pause_reading(self) -> None:
        """Pause reading the body: the application takes no more at present."""

    def resume_reading(self) -> None:
        """Read the body on: the application takes more."""

    @property
    def reading_paused(self) -> bool:
        """True if the request is not read at present, for any reason."""

    def rejected_request(self) -> tuple[tuple[str, int] | None, bytes, bytes]:
        """Peer, method and target of a request with a refused head, as far as they were read."""


class MeasuredExchange(Protocol):
    """An exchange, as a meter sees it."""

    head: Head | None
    began_s: float
    """When it was opened at the backend, as `ObservedBackend` notes it (monotonic); 0.0 if it was not."""


class ResponseMeter(Protocol):
    """Gets each response when it begins, if responses are measured."""

    def responded(self, exchange: MeasuredExchange, status: int) -> None:
        """Measure a response with this status, and reset `began_s`."""


class ResponseEncoder(Protocol):
    """Turn the events of one response into bytes."""

    response: Response

    def render(self, events: Sequence[Event]) -> list[bytes]:
        """The bytes of `events`, in pieces. Raises like `Response.play`."""
