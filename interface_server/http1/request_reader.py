"""The request side of an HTTP/1 connection: what parser.py makes of the bytes, brought to the door.

* One exchange at a time. What a client sends ahead (pipelining) waits: a small part of a read in `_turns`, the rest of that
  read unparsed in `_ahead`, and the socket is not read meanwhile. It waits too while the former response has not left.
* Request body: the parts of one read leave as one event. `forward` says when to stop reading.
"""

from __future__ import annotations

from math import inf

from channel_layer.protocol.events import EVENT_OVERHEAD_BYTES
from interface_server.http.errors import RequestError
from interface_server.http.request import Head
from interface_server.http.scope import websocket_scope
from interface_server.http1.connection_base import (
    AHEAD,
    EXCHANGE,
    GONE,
    HEAD,
    LINGERING,
    NO_ROOM,
    RETRY_AFTER,
    TEXT,
    HttpSocket,
)
from interface_server.http1.encoder import CONTINUE

PART_SIZE_BYTES_MAX = 64 * 1024  #: of a request's body in one event


class Requests(HttpSocket):
    """What the client says: a `Sink` of the intake, and the pump's two words about the request."""

    __slots__ = ()

    # What parser.py makes of the bytes: it happens now, or when it is its turn.

    def head_came(self, head: Head, fields: list[tuple[bytes, bytes]]) -> None:
        if self._phase is HEAD and not self._write_paused and not self._turns.waiting:
            self._begin(head, fields)  # the ordinary way, without asking further
        else:
            self._turns.take(True, self._begin, head, fields)

    def part_came(self, part: bytes) -> None:
        self._turns.take(False, self._parts_append, part)

    def request_over(self) -> None:
        if self._turns.waiting:
            self._turns.take(False, self._end_request)
        elif self._parts or self._opened:
            self._end_request()
        elif self._phase is EXCHANGE:  # the ordinary way: no body
            self._request_over = True
            self._open(b"", False)

    def _free(self) -> bool:
        return self._phase is HEAD and not self._write_paused

    def _go_on(self) -> None:
        if self._turns.waiting:
            self._turns.go_on()
            self._settle()

    def _settle(self) -> None:
        """What belongs together has come together: hand it on, and see whether to read on."""
        if self._phase is GONE:
            return
        if self._turns.waiting or self._ahead:
            self._wait_for_turn()
            return
        if self._paused & AHEAD:
            self._unpause(AHEAD)
        if self._phase is EXCHANGE and not self._request_over and (self._parts or not self._opened):
            self._flush(more=True)
            if self._upstream is not None:
                self.registry.uploading[self] = self.context.now

    def _wait_for_turn(self) -> None:
        """Whoever is ahead of its responses is not read."""
        if self._phase is LINGERING:
            self._forget_ahead()
            return
        self._pause(AHEAD)
        if not self._turns.waiting:
            self.context.loop.call_soon(self._read_ahead)  # not at once: others have their turn too

    def _read_ahead(self) -> None:
        if self._ahead and not self._turns.waiting:
            data, self._ahead = self._ahead, b""
            self.dataReceived(data)

    # The request.

    def _begin(self, head: Head, fields: list[tuple[bytes, bytes]]) -> None:
        self._phase = EXCHANGE
        self._head_begun = False
        self.deadline = inf
        self._head = head
        self._scope = self._place.scope(head, fields)
        self._opened = self._request_over = False

    def _parts_append(self, part: bytes) -> None:
        if self._phase is EXCHANGE:
            self._parts.append(part)

    def _end_request(self) -> None:
        if self._phase is EXCHANGE:
            self._request_over = True
            if self._opened or self._parts:
                self.registry.uploading.pop(self, None)
                self._flush(more=False)
            else:
                self._open(b"", False)

    def _flush(self, more: bool) -> None:
        """Hand on what has come: first by `Backend.open`, then by `forward`, 64 KiB at a time."""
        parts = self._parts
        if not parts:
            body = b""
        else:
            body = parts[0] if len(parts) == 1 else b"".join(parts)
            self._parts = []
            self._continue_owed = False
        if not self._opened:
            first, body = body[:PART_SIZE_BYTES_MAX], body[PART_SIZE_BYTES_MAX:]
            self._open(first, more or body != b"")
            if not body:
                return
        room = True
        while self._upstream is not None:
            part, body = body[:PART_SIZE_BYTES_MAX], body[PART_SIZE_BYTES_MAX:]
            event = {"type": "http.request", "body": part, "more_body": more or bool(body)}
            room = self._upstream.forward(event, len(part) + EVENT_OVERHEAD_BYTES)
            if not body:
                break
        if not room and more:
            self._pause(NO_ROOM)

    def _open(self, body: bytes, more: bool) -> None:
        self._opened = True
        context, head = self.context, self._head
        assert head is not None  # there is one from `_begin` to `_finish`
        if head.path in context.health.paths:
            answer = context.health.answer(head.path, head.method, context.door.ready and not context.draining)
            self._answer(answer.status, answer.headers, answer.body)
        elif context.settings.limit_concurrency and context.full():
            self._refuse_full()
        else:
            self._continue_owed = expects = more and not body and head.expects_continue
            context.under_way += 1
            self._upstream = context.door.open(self, self._scope, body, more, expect_continue=expects)  # type: ignore[arg-type]  # this is an HttpProtocol

    def _upgrade(self, rest: bytes) -> None:
        if self._phase is not EXCHANGE:
            return
        if self.context.full():
            self._refuse_full()
            return
        scope = websocket_scope(self._scope.event)
        self._unpause(AHEAD)
        self._retire()
        self._on_upgrade(self.transport, scope, rest)
        self._let_go()

    def _refuse(self, refusal: RequestError) -> None:
        """The request is not served; what was read of it, and what may follow, cannot be trusted."""
        self.context.counters["refused." + refusal.name] += 1
        self._request_over = False
        if self._upstream is not None:
            self._leave()
            if self._spoken:
                self._break_off()
                return
        more = ((b"allow", b"GET"),) if refusal.status == 405 else ()
        self._answer(refusal.status, (TEXT, *more), refusal.why.encode() + b"\n")

    def _refuse_full(self) -> None:
        self.context.counters["refused.limit_concurrency"] += 1
        self._answer(503, (TEXT, RETRY_AFTER), b"too many connections are under way\n")

    # What the pump says (`Client`; the rest is in response_writer.py).

    def resume(self) -> None:
        if self in self.registry.uploading:
            self.registry.uploading[self] = self.context.now  # it could not say anything, until now
        self._unpause(NO_ROOM)

    @property
    def mid_message(self) -> bool:
        """A response that is cut off is aborted: there is no next owner who could be mistaken for its end."""
        return False

    def wanted(self) -> None:
        if self._continue_owed and not self._spoken:
            self._continue_owed = False
            self.registry.uploading[self] = self.context.now
            self.transport.write(CONTINUE)
