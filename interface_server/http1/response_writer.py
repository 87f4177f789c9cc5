"""The response side of an HTTP/1 connection: what the pump delivers, or we answer ourselves, written to the client.

Sizes are reported as delivered while the transport's buffer is below its mark, else once it is again. PROTOCOL.md, P1, P5.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from channel_layer.protocol.events import Event
from channel_layer.protocol.server_sent_events import resumes_by_itself
from interface_server.connections.interfaces import EndReason, Upstream
from interface_server.groups.interfaces import PushedMessage
from interface_server.http.request import Fields, Head
from interface_server.http.response import OVER, InvalidResponse
from interface_server.http1.connection_base import HALF_CLOSED, RETRY_AFTER, TEXT, HttpSocket, logger
from interface_server.http1.encoder import JOINED_SIZE_BYTES_MAX, Http1Response

#: What events that break their own rules can make of the code that reads them.
BROKEN = (InvalidResponse, KeyError, TypeError, ValueError, AttributeError)
LAST_OF_BODY: Event = {"type": "http.response.body", "body": b""}


class Responses(HttpSocket):
    """What is said to the client: most of a `Client`."""

    __slots__ = ()

    # What the pump says (`resume` and `wanted` are in request_reader.py).

    def adopted(self) -> None:
        limit_s = self.context.settings.response_timeout_s
        if limit_s and self._upstream is not None and not self._spoken:
            self.deadline = self.context.deadline(limit_s)

    @property
    def request(self) -> str:
        head = self._head
        return f"{head.method} {head.target.decode('latin-1')}" if head is not None else "a request"

    def deliver(self, events: Sequence[Event], size_bytes: int) -> None:
        upstream, head = self._upstream, self._head
        if upstream is None or head is None:
            return
        # Not by `_may_stay`: this stands on the way of every request.
        may_stay = self._request_over and not self._paused and not self.context.draining
        if may_stay and head.common and self._response is None:
            whole = self.registry.heads.lookup(events)
            if whole is not None:  # the ordinary way: as many a response before
                self.transport.write(whole)
                if self.context.access_log.enabled:
                    self._log(events[0]["status"])
                self._complete(upstream, True)
                return
        self._render(head, events, self._may_stay(), size_bytes)

    def push(self, pushed: PushedMessage) -> None:
        self.context.counters["dropped.push_to_http"] += 1

    def end(self, end_reason: EndReason) -> None:
        if self._upstream is None:
            return
        self._release()
        self.context.counters[f"ended.{end_reason.name.lower()}"] += 1
        if self._spoken:
            self._break_off()
        else:
            more = (RETRY_AFTER,) if end_reason.status == 503 else ()
            self._answer(end_reason.status, (TEXT, *more), end_reason.why.encode() + b"\n")

    # What is said when the process leaves.

    def is_event_stream(self) -> bool:
        """Is a response under way that may end at any moment, since its client then comes again by itself?"""
        response = self._response
        return (
            self._spoken
            and response is not None
            and self._upstream is not None
            and resumes_by_itself(self._scope.event, {"headers": response.fields})
        )

    def evict(self) -> None:
        """End an event stream as if it were whole; any other exchange has its time."""
        if not self.is_event_stream():
            return
        assert self._response is not None  # it is an event stream's
        pieces = self._response.render((LAST_OF_BODY,), False)
        if pieces:
            self._write(pieces, 0)
        self.context.counters["ended.event_stream"] += 1
        self._leave()
        self._finish(keep_alive=False)

    # The response.

    def _may_stay(self) -> bool:
        """True if the connection could serve another request: this one was read to its end, and neither side is leaving."""
        return self._request_over and not self.context.draining and not self._paused & HALF_CLOSED

    def _render(self, head: Head, events: Sequence[Event], may_stay: bool, size_bytes: int) -> None:
        response = self._response
        if response is None:
            response = self._response = self._response_to(head)
        try:
            pieces = response.render(events, may_stay)
        except BROKEN as error:
            self._broken(error)
            return
        if pieces:
            self._write(pieces, size_bytes)
            if not self._spoken:
                self._spoken = True
                self.deadline = inf
                if self.context.access_log.enabled:
                    self._log(response.status)
        if response.state is OVER:
            self._responded(response)
        elif self._write_paused:
            self._undelivered_bytes += size_bytes
        elif self._upstream is not None:
            self._upstream.delivered(size_bytes)

    def _response_to(self, head: Head) -> Http1Response:
        return Http1Response(head.method == "HEAD", head.version == "1.1", head.keep_alive, self.registry.heads)

    def _write(self, pieces: list[bytes], size_bytes: int) -> None:
        """size_bytes: about how large they are together; only large ones are not worth a copy."""
        if len(pieces) == 1:
            self.transport.write(pieces[0])
        elif size_bytes <= JOINED_SIZE_BYTES_MAX:
            self.transport.write(b"".join(pieces))
        else:
            self.transport.write_pieces(pieces, sum(map(len, pieces)))

    def _log(self, status: int, why: str = "") -> None:
        """why: of an answer of our own."""
        head, access_log = self._head, self.context.access_log
        if head is None:
            access_log.refused(self._place.client, *self._intake.refused(), status, why)
        elif head.path not in self.context.health.paths:
            access_log.line(self._scope.event["client"], head.method, head.target, head.version, status, why)

    def _complete(self, upstream: Upstream, keep_alive: bool) -> None:
        self._upstream = None
        self.context.under_way -= 1
        upstream.complete()
        self._finish(keep_alive)

    def _responded(self, response: Http1Response) -> None:
        fault = response.fault
        if not fault:
            if self._upstream is not None:
                self._complete(self._upstream, response.keep_alive)
            return
        self.context.counters["broken." + fault.split(maxsplit=1)[0]] += 1
        logger.error("%s: the response body is %s; the connection is closed", self._name(), fault)
        self._leave()
        if fault.startswith("longer"):
            self._finish(keep_alive=False)
        else:
            self._break_off()

    def _broken(self, error: Exception) -> None:
        logger.error("%s: the application's response cannot be sent: %s", self._name(), error)
        self.context.counters["broken.invalid_response"] += 1
        self._leave()
        if self._spoken:
            self._break_off()
        else:
            self._answer(500, (TEXT,), b"the application sent an invalid response\n")

    def _answer(self, status: int, headers: Fields, body: bytes) -> None:
        """Answer ourselves. Without a head nothing is known about what follows, and the connection ends."""
        head = self._head
        response = Http1Response(False, True, False, self.registry.heads) if head is None else self._response_to(head)
        start: Event = {"type": "http.response.start", "status": status, "headers": headers}
        events = [start, {"type": "http.response.body", "body": body}]
        self._write(response.render(events, self._may_stay()), len(body))
        if self.context.access_log.enabled:
            self._log(status, body.decode().rstrip())
        self._finish(response.keep_alive)

    def _name(self) -> str:
        return self._upstream.channel if self._upstream is not None else "no connection"
