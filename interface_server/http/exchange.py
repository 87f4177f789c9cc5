"""One HTTP exchange, whatever version its client speaks: a request to the backend, and a response to the client.

An HTTP/1 connection has one exchange and begins it anew for each request; an HTTP/2 stream would be one. The exchange implements the
dispatcher's `Client`, reads from a `RequestSource` and writes to a `ResponseSink`.

* Request body: what one read brought leaves as one event, as long as it fits. `Upstream.forward` returns False when reading must stop.
* Sizes are reported as delivered while the write buffer is below its mark, else once it is again.
* A failed exchange never looks like a success: a response that breaks off is aborted.

PROTOCOL.md, P1, P5, P12.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from enum import Enum, auto
from typing import Final

from channel_layer.protocol.events import Event
from channel_layer.protocol.illegal_move import legal_move
from channel_layer.protocol.scope import Scope
from channel_layer.protocol.server_sent_events import resumes_by_itself
from interface_server.connections.interfaces import EndReason, Upstream
from interface_server.groups.interfaces import PushedMessage
from interface_server.http.answers import (
    INVALID_RESPONSE,
    TIMED_OUT,
    TOO_MANY,
    Answer,
    RequestError,
    answer_at_stop,
    answer_to_end,
    answer_to_error,
)
from interface_server.http.interfaces import RequestSource, ResponseSink
from interface_server.http.request import PART_SIZE_BYTES_MAX, Head, body_events
from interface_server.http.response import OVER, Response
from interface_server.http.response_head import InvalidResponse
from interface_server.http.server_context import ServerContext

logger: Final = logging.getLogger("towpath.interface")

#: What events that break their own rules can make of the code that reads them.
BROKEN: Final = (InvalidResponse, KeyError, TypeError, ValueError, AttributeError)
LAST_OF_BODY: Final[Event] = {"type": "http.response.body", "body": b""}


class RequestState(Enum):
    """How much of the request is here, and at the backend."""

    NONE = auto()  # no request has come yet
    HEAD = auto()  # its head is here; nothing of it is at the backend
    BODY = auto()  # it is at the backend, or answered by ourselves; more of its body may come
    COMPLETE = auto()  # its last byte is here; also between two requests


class WriteState(Enum):
    """How much of the response is written to the client."""

    CONTINUE_EXPECTED = auto()  # the client waits for `100 Continue` before it sends the body
    AWAITED = auto()  # nothing of the response is written; also between two requests
    STARTED = auto()  # its head is written, and its end is not


# A member of an Enum is found by a slow way through its class: these stand on the way of every request.
NONE: Final = RequestState.NONE
HEAD: Final = RequestState.HEAD
BODY: Final = RequestState.BODY
COMPLETE: Final = RequestState.COMPLETE
CONTINUE_EXPECTED: Final = WriteState.CONTINUE_EXPECTED
AWAITED: Final = WriteState.AWAITED
STARTED: Final = WriteState.STARTED
#: Every legal move of a request. One that is refused becomes BODY, whatever it was: what follows it cannot be trusted.
REQUEST_MOVES: Final = {
    NONE: (HEAD, BODY),
    HEAD: (BODY, COMPLETE),
    BODY: (BODY, COMPLETE),
    COMPLETE: (HEAD, BODY, COMPLETE),
}
#: Every legal move of a response. One that is complete at once is never STARTED.
WRITE_MOVES: Final = {CONTINUE_EXPECTED: (AWAITED, STARTED), AWAITED: tuple(WriteState), STARTED: (AWAITED,)}


def request_step(before: RequestState, after: RequestState) -> RequestState:
    """Move to `after`. Raises IllegalMove if the table has no such move: an error in this program."""
    return legal_move(REQUEST_MOVES, before, after, "a request")


def write_step(before: WriteState, after: WriteState) -> WriteState:
    """As `request_step`, for a response."""
    return legal_move(WRITE_MOVES, before, after, "a response")


#: The moves of an ordinary request, looked up once: it begins, all of it is here, its response is complete at once.
BEGUN: Final = request_step(NONE, request_step(COMPLETE, HEAD))
ALL_HERE: Final = request_step(BEGUN, COMPLETE)
ANSWERED: Final = write_step(AWAITED, AWAITED)


class Exchange:
    """A `Client` for the dispatcher. One request and its response at a time; then `begin` again."""

    __slots__ = (
        "_context", "_response", "_sink", "_source", "_undelivered_bytes", "_upstream",
        "access_log", "began_s", "head", "last_worker", "request_state", "scope", "write_state",
    )  # fmt: skip

    def __init__(self, context: ServerContext, sink: ResponseSink, source: RequestSource) -> None:
        self._context = context
        self._sink, self.access_log = sink, sink.access_log
        self._source = source
        self._response: Response | None = None  # from its start, unless it is written at once
        self._undelivered_bytes, self.last_worker, self.began_s = 0, "", 0.0
        self._upstream: Upstream | None = None
        self.head: Head | None = None  #: None: no exchange is under way
        self.scope: Scope | None = None
        self.request_state: RequestState = NONE
        self.write_state: WriteState = AWAITED

    mid_message = False  #: a response that is cut off is aborted, so no next owner can go on with it

    def begin(self, head: Head, scope: Scope) -> None:
        """Begin the exchange of a request whose head has come."""
        self.head, self.scope = head, scope
        self.request_state = BEGUN

    def serve(self, head: Head, scope: Scope) -> None:
        """Serve a request without a body. As `begin` and `forward`, in fewer steps."""
        self.begin(head, scope)
        self.request_state = ALL_HERE
        self._open(b"", False)

    def forward(self, body: bytes, more: bool) -> None:
        """Hand on what has come of the request's body, first by `Backend.open`, then by `forward`. more: not all of it is here."""
        is_open = self.request_state is not HEAD
        self.request_state = request_step(self.request_state, BODY if more else COMPLETE)
        if body and self.write_state is CONTINUE_EXPECTED:
            self.write_state = write_step(self.write_state, AWAITED)
        if is_open:
            self._forward_rest(body, more)
        elif len(body) <= PART_SIZE_BYTES_MAX:
            self._open(body, more)
        else:
            self._open(body[:PART_SIZE_BYTES_MAX], True)
            self._forward_rest(body[PART_SIZE_BYTES_MAX:], more)
        if more and self._upstream is not None:
            self._context.uploads.restart(self, self._context.now)
        elif is_open:
            self._context.uploads.forget(self)

    def _forward_rest(self, body: bytes, more: bool) -> None:
        has_credit = True
        for event, size_bytes in body_events(body, more):
            if self._upstream is None:
                return
            has_credit = self._upstream.forward(event, size_bytes)
        if more and not has_credit:
            self._source.pause_reading()

    def _open(self, body: bytes, more: bool) -> None:
        """Bring the request to the backend, or answer it ourselves. body: its beginning, or all of it if there is not `more`."""
        context, head, scope = self._context, self.head, self.scope
        assert head is not None and scope is not None  # from `begin` until the exchange is over
        if head.path in context.health.paths:
            self.answer(context.health.answer(head.path, head.method, context.backend.ready and not context.draining))
        elif context.settings.limit_concurrency and context.full():
            self.refuse_full()
        else:
            expects = more and not body and head.expects_continue
            if expects:
                self.write_state = write_step(self.write_state, CONTINUE_EXPECTED)
            context.under_way += 1
            self._upstream = context.backend.open(self, scope, body, more, expect_continue=expects)

    def refuse(self, error: RequestError) -> None:
        """Answer with an error, or abort the response that has begun. What was read, and what may follow, cannot be trusted."""
        self._context.counters["refused." + error.name] += 1
        self.request_state = request_step(self.request_state, BODY)
        if self._upstream is not None:
            self.leave()
            if self.write_state is STARTED:
                self._abort()
                return
        self.answer(answer_to_error(error))

    def refuse_full(self) -> None:
        """Answer 503 and count it: `limit_concurrency` is reached."""
        self._context.counters["refused.limit_concurrency"] += 1
        self.answer(TOO_MANY)

    def body_late(self, now: float) -> None:
        """Refuse the request if the client is the cause: nothing of its body has come for the whole timeout."""
        if self.head is None or self.request_state is COMPLETE or self.write_state is STARTED:
            self._context.uploads.forget(self)
        elif self._source.reading_paused or self.write_state is CONTINUE_EXPECTED:
            self._context.uploads.restart(self, now)
        else:
            self.refuse(RequestError(408, "the request body did not come in time", "body_timeout"))

    @property
    def request(self) -> str:
        return "a request" if self.head is None else str(self.head)

    def adopted(self) -> None:
        limit_s = self._context.settings.response_timeout_s
        if limit_s and self.head is not None and self.write_state is not STARTED:
            self._sink.expect_response(limit_s)

    def deliver(self, events: Sequence[Event], size_bytes: int) -> None:
        upstream, head, context = self._upstream, self.head, self._context
        if upstream is None or head is None:
            return
        if (  # the ordinary way: as many a response before
            head.fast_path
            and self.request_state is COMPLETE
            and self._response is None
            and not context.draining
            and self._sink.send_remembered(events)
        ):
            if context.observed:
                self._log(events[0]["status"])
            self._upstream = self.head = None
            self.write_state = ANSWERED
            context.under_way -= 1
            upstream.complete()
            self._sink.end(True)
            return
        if self._response is None:
            self._response = Response(head.method == "HEAD")
        self._send(self._response, events, size_bytes)

    def push(self, pushed: PushedMessage) -> None:
        if pushed.event["type"] != LAST_OF_BODY["type"]:
            self._context.counters["dropped.push_to_http"] += 1
        elif pushed.event["more_body"]:
            self._sink.push(pushed)
        else:
            self._end_stream(pushed.event, keep_alive=True)

    def end(self, end_reason: EndReason) -> None:
        if self._release() is None:
            return
        self._context.counters[f"ended.{end_reason.name.lower()}"] += 1
        if self.write_state is STARTED:
            self._abort()
        else:
            self.answer(answer_to_end(end_reason))

    def resume(self) -> None:
        if self in self._context.uploads:
            self._context.uploads.restart(self, self._context.now)  # it could not send anything, until now
        self._source.resume_reading()

    def on_body_requested(self) -> None:
        if self.write_state is CONTINUE_EXPECTED:
            self.write_state = write_step(self.write_state, AWAITED)
            self._context.uploads.restart(self, self._context.now)
            self._sink.send_continue()

    # The response.

    @property
    def may_keep_alive(self) -> bool:
        """True if the connection could serve another request: this one is read, and the server is not leaving."""
        return self.request_state is COMPLETE and not self._context.draining

    def _send(self, response: Response, events: Sequence[Event], size_bytes: int) -> None:
        try:
            response.play(events, self._sink)
            is_below_mark = self._sink.flush(size_bytes)  # a head that is rendered here may be invalid too
        except BROKEN as error:
            self._broken(error)
            return
        begins = self.write_state is not STARTED and response.status  # 0: nothing of it has come yet
        if begins:
            self.write_state = write_step(self.write_state, STARTED)
            if self._context.observed:
                self._log(response.status)
        if response.state is OVER:
            self._responded(response)
        elif self._upstream is not None:
            self._undelivered_bytes += size_bytes
            if is_below_mark:
                self.on_drained()
            if begins and response.takes_events:
                self._upstream.event_stream_began()  # last: what waits for it may end this exchange

    def _responded(self, response: Response) -> None:
        fault = response.fault
        if not fault:
            if (upstream := self._release()) is not None:
                upstream.complete()
                self._finish(keep_alive=True)
            return
        self._context.counters["broken." + fault.split(maxsplit=1)[0]] += 1
        logger.error("%s: the response body is %s; the connection is closed", self.channel, fault)
        self.leave()
        if fault.startswith("longer"):
            self._finish(keep_alive=False)
        else:
            self._abort()

    def _broken(self, error: Exception) -> None:
        logger.error("%s: the application's response cannot be sent: %s", self.channel, error)
        self._context.counters["broken.invalid_response"] += 1
        self.leave()
        if self.write_state is STARTED:
            self._abort()
        else:
            self.answer(INVALID_RESPONSE)

    def answer(self, answer: Answer) -> None:
        """Answer ourselves. Without a head nothing is known about what follows, and the connection ends."""
        Response(self.head is not None and self.head.method == "HEAD").play(answer.events, self._sink)
        self._sink.flush(len(answer.body))
        if self._context.observed:
            self._log(answer.status, answer.why)
        self._finish(keep_alive=True)

    def on_drained(self) -> None:
        """Report the written bytes as delivered: the write buffer is below its mark again."""
        size_bytes, self._undelivered_bytes = self._undelivered_bytes, 0
        if size_bytes and self._upstream is not None:
            self._upstream.delivered(size_bytes)

    def _log(self, status: int, why: str = "") -> None:
        if (meter := self._context.meter) is not None:
            meter.responded(self, status)
        if not self.access_log.enabled:
            return
        if self.head is None or self.scope is None:
            self.access_log.refused(*self._source.rejected_request(), status, why)
        else:
            self.access_log.request(self.scope.event, self.head.path, self.head.target, status, why)

    @property
    def channel(self) -> str:
        """Its reply channel, for the log."""
        return self._upstream.channel if self._upstream is not None else "no connection"

    # The end.

    def is_event_stream(self) -> bool:
        """True if the response under way may end at any moment, since its client then comes again by itself."""
        response, scope = self._response, self.scope
        if response is None or scope is None or self._upstream is None or self.write_state is not STARTED:
            return False
        return resumes_by_itself(scope.event, {"headers": response.fields})

    def end_for_shutdown(self) -> None:
        """End an event stream as if it were whole, since the server stops; any other exchange has its time."""
        if self.is_event_stream():
            self._context.counters["ended.event_stream"] += 1
            self._end_stream(LAST_OF_BODY, keep_alive=False)

    def _end_stream(self, last: Event, keep_alive: bool) -> None:
        """Write the last part of a response in place of the application, which gets a disconnect."""
        assert self._response is not None
        self._response.play((last,), self._sink)
        self._sink.flush(len(last["body"]))
        self.leave()
        self._finish(keep_alive)

    def time_out(self) -> None:
        """Answer 504 and count it, and send the application a disconnect: its answer is late."""
        self._context.counters["refused.response_timeout"] += 1
        self.leave()
        self.answer(TIMED_OUT)

    def cut_off(self) -> bool:
        """Answer, since the process ends. Returns False if no request waits for the beginning of a response."""
        if (upstream := self._upstream) is None or self.write_state is STARTED:
            return False
        answer = answer_at_stop(upstream.may_be_sent_again)
        self.leave()
        self.answer(answer)
        return True

    def leave(self) -> None:
        """End the client's side: the application gets a disconnect."""
        if (upstream := self._release()) is not None:
            upstream.leave()

    def _release(self) -> Upstream | None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            self._context.under_way -= 1
        return upstream

    def _finish(self, keep_alive: bool) -> None:
        self._response, self.head, self._undelivered_bytes = None, None, 0
        self.write_state = write_step(self.write_state, AWAITED)
        self._sink.end(keep_alive)

    def _abort(self) -> None:
        self._response = self.head = None
        self._sink.abort()
