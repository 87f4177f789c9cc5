"""HTTP/1 on a client's socket: bytes in, `Door.open` and events out, and back again.

http1_intake.py makes requests of the bytes, the door takes them to a worker, http1_response.py makes bytes of what comes
back. What stands here is the order of things on one connection:

* One exchange at a time. What a client sends ahead (pipelining) waits in `_turns`, at most one read's worth, and the socket
  is not read meanwhile. It waits too while the former response has not left.
* Request body: the parts of one read leave as one event. `forward` says when to stop reading.
* Response: sizes are reported as delivered while the transport's buffer is below its mark, else once it is again.
* An end that could be taken for success is none: what breaks in mid-response is cut off visibly.
* Whoever is refused, or answered before the end of the request, is listened to for a little while after our last word: a
  connection that is closed upon unread bytes is reset, and the answer is lost with it (RFC 9112, 9.6).

Deadlines are numbers, looked at by one sweep for all connections (twisted_http.py). PROTOCOL.md, P1, P5, P12.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from enum import Enum, auto
from math import inf
from typing import TYPE_CHECKING

from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from channel_layer.events import EVENT_OVERHEAD_BYTES
from interface_server import autobahn_websocket
from interface_server.client import Ending, Event, Pushed, Upstream
from interface_server.exchange import OVER, InvalidResponse
from interface_server.http1_head import Head, Refusal
from interface_server.http1_intake import Intake
from interface_server.http1_response import CONTINUE, Http1Response
from interface_server.http1_scope import Place, websocket_scope
from interface_server.http1_turns import Turns
from interface_server.uvloop_endpoint import UvloopTransport

if TYPE_CHECKING:
    from interface_server.twisted_http import HttpFactory

logger = logging.getLogger("towpath.interface")

PART_SIZE_BYTES_MAX = 64 * 1024  #: of a request's body in one event
JOINED_SIZE_BYTES_MAX = 16 * 1024  #: what is smaller is copied into one piece; what is larger is written in pieces
LINGER_S = 5.0  #: how long we listen after our last word
RETRY_AFTER = (b"retry-after", b"1")
TEXT = (b"content-type", b"text/plain; charset=utf-8")

Fields = Sequence[tuple[bytes, bytes]]


class Phase(Enum):
    HEAD = auto()  # no request is under way; a head is awaited, or has begun to come
    EXCHANGE = auto()  # a request is under way: its body comes, or its response goes, or both
    LINGERING = auto()  # our last word is said; what still comes is thrown away
    GONE = auto()  # the socket is closed, or closing, or belongs to somebody else


HEAD, EXCHANGE, LINGERING, GONE = Phase

#: Why the socket is not read, as bits: the application's window is used up; the client is ahead of its responses.
NO_ROOM, AHEAD = 1, 2


class HttpProtocol(Protocol):
    """One connection of a client that speaks HTTP/1. A `Client` for the pump, one exchange after another."""

    transport: UvloopTransport  # type: ignore[assignment]  # narrower than Twisted's ITransport: see uvloop_endpoint.py

    def __init__(self, factory: HttpFactory) -> None:
        self.factory = factory
        self.context = factory.context
        self.deadline = inf  #: loop.time() after which `late` is called
        self._phase = HEAD
        self._head_begun = False
        self._intake = Intake(self, self.context.settings)
        self._turns = Turns(self._free)
        self._paused = 0
        self._write_paused = False
        self._acknowledged_bytes = 0
        self._place: Place
        # Of the exchange under way.
        self._head: Head | None = None
        self._scope: Event = {}
        self._parts: list[bytes] = []
        self._opened = False  # was the request brought to the door, or answered by ourselves?
        self._request_over = False
        self._continue_owed = False
        self._spoken = False  # has a byte of the response been written?
        self._response: Http1Response | None = None
        self._upstream: Upstream | None = None
        self._undelivered_bytes = 0

    # What the transport says.

    def connectionMade(self) -> None:
        context, transport = self.context, self.transport
        self._place = Place(transport.peer(), transport.host(), "http", context.settings.root_path, context.trusted)
        self.factory.connections.add(self)
        self.deadline = context.idle_deadline

    def dataReceived(self, data: bytes) -> None:
        if self._phase is LINGERING or self._phase is GONE:
            return
        try:
            behind_upgrade = self._intake.feed(data)
        except Refusal as refusal:
            self._turns.take(not self._intake.in_body, self._refuse, refusal)
        else:
            if behind_upgrade is not None:
                self._turns.take(False, self._upgrade, behind_upgrade)
        if self._phase is EXCHANGE and self._request_over and not self._turns.waiting and not self._paused:
            return  # the ordinary request, which came in one read
        self._settle()
        if self._phase is HEAD and not self._head_begun and self._intake.in_head(data):
            self._head_begun = True
            self.deadline = self.context.deadline(self.context.settings.head_timeout_s)

    def eof_received(self) -> bool:
        """The client has closed. Who closes only half cannot be told from who has left, and is treated as such."""
        self._leave()
        self._retire()
        return False

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._leave()
        self._retire()
        self.context.stalled.forget(self.transport)

    def pause_writing(self) -> None:
        self._write_paused = True
        self.context.stalled.watch(self.transport, self.context.now, self._stalled)

    def resume_writing(self) -> None:
        self._write_paused = False
        if self._phase is GONE:
            return  # closing: whoever takes the rest is watched to the end
        self.context.stalled.forget(self.transport)
        size, self._undelivered_bytes = self._undelivered_bytes, 0
        if size and self._upstream is not None:
            self._upstream.delivered(size)
        self._go_on()

    # What http1_intake.py makes of the bytes: it happens now, or when it is its turn.

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
        else:
            self._end_request()

    def _free(self) -> bool:
        return self._phase is HEAD and not self._write_paused

    def _go_on(self) -> None:
        if self._turns.waiting:
            self._turns.go_on()
            self._settle()

    def _settle(self) -> None:
        """What belongs together has come together: hand it on, and see whether to read on."""
        if self._turns.waiting:
            self._pause(AHEAD)
            return
        if self._paused & AHEAD:
            self._unpause(AHEAD)
        if self._phase is EXCHANGE and not self._request_over and (self._parts or not self._opened):
            self._flush(more=True)

    # The request.

    def _begin(self, head: Head, fields: list[tuple[bytes, bytes]]) -> None:
        self._phase = EXCHANGE
        self._head_begun = False
        self.deadline = inf
        self._head = head
        self._scope = self._place.scope(head, fields)
        self._opened = self._request_over = self._spoken = self._continue_owed = False

    def _parts_append(self, part: bytes) -> None:
        if self._phase is EXCHANGE:
            self._parts.append(part)

    def _end_request(self) -> None:
        if self._phase is EXCHANGE:
            self._request_over = True
            if self._opened or self._parts:
                self._flush(more=False)
            else:
                self._open(b"", more=False)

    def _flush(self, more: bool) -> None:
        """Hand on what has come: first by `Door.open`, then by `forward`, 64 KiB at a time."""
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
        context, head, scope = self.context, self._head, self._scope
        assert head is not None  # there is one from `_begin` to `_finish`
        if head.path in context.health.paths:
            answer = context.health.answer(head.path, head.method, context.door.ready and not context.draining)
            self._answer(answer.status, answer.headers, answer.body)
        elif context.full():
            self._refuse_full()
        else:
            self._continue_owed = expects = more and not body and head.expects_continue
            self._response = Http1Response(head.method == "HEAD", head.version == "1.1", head.keep_alive, context.lines)
            context.under_way += 1
            self._upstream = context.door.open(self, scope, body, more, expect_continue=expects)

    def _upgrade(self, rest: bytes) -> None:
        if self._phase is not EXCHANGE:
            return
        if self.context.full():
            self._refuse_full()
            return
        scope = websocket_scope(self._scope)
        self._unpause(AHEAD)
        self._retire()
        autobahn_websocket.upgrade(self, self.transport, scope, rest, self.context)

    # What the pump says.

    def adopted(self) -> None:
        timeout_s = self.context.settings.response_timeout_s
        if timeout_s and not self._spoken:
            self.deadline = self.context.deadline(timeout_s)

    def deliver(self, events: Sequence[Event], size_bytes: int) -> None:
        response = self._response
        if response is None or self._upstream is None:
            return
        try:
            pieces = response.render(events, self._request_over and not self.context.draining)
        except (InvalidResponse, KeyError, TypeError, ValueError, AttributeError) as error:
            self._broken(error)
            return
        if pieces:
            self._write(pieces)
            if not self._spoken:
                self._spoken = True
                self.deadline = inf
                if self.context.access_log.enabled:
                    self._log(response.status)
        if response.state is OVER:
            self._responded(response)
        elif self._write_paused:
            self._undelivered_bytes += size_bytes
        else:
            self._upstream.delivered(size_bytes)

    def push(self, pushed: Pushed) -> None:
        self.context.counters.count("dropped.pushed_to_http")

    def end(self, ending: Ending) -> None:
        if self._upstream is None:
            return
        self._release()
        self.context.counters.count(f"ended.{ending.name.lower()}")
        if self._spoken:
            self._break_off()
        else:
            more = (RETRY_AFTER,) if ending.status == 503 else ()
            self._answer(ending.status, (TEXT, *more), ending.why.encode() + b"\n")

    def resume(self) -> None:
        self._unpause(NO_ROOM)

    def wanted(self) -> None:
        if self._continue_owed and not self._spoken:
            self._continue_owed = False
            self.transport.write(CONTINUE)

    # The response.

    def _write(self, pieces: list[bytes]) -> None:
        if len(pieces) == 1:
            self.transport.write(pieces[0])
            return
        size = sum(map(len, pieces))
        if size <= JOINED_SIZE_BYTES_MAX:
            self.transport.write(b"".join(pieces))
        else:
            self.transport.write_pieces(pieces, size)

    def _log(self, status: int) -> None:
        head = self._head
        if head is not None and head.path not in self.context.health.paths:
            self.context.access_log.line(self._scope["client"], head.method, head.target, head.version, status)

    def _responded(self, response: Http1Response) -> None:
        fault = response.fault
        if not fault:
            upstream, self._upstream = self._upstream, None
            self.context.under_way -= 1
            upstream.complete()  # type: ignore[union-attr]  # `deliver` has looked
            self._finish(response.keep_alive)
            return
        self.context.counters.count("broken." + fault.split(maxsplit=1)[0])
        logger.error("%s: the response body is %s; the connection is closed", self._name(), fault)
        self._leave()
        if fault.startswith("longer"):
            self._finish(keep_alive=False)
        else:
            self._break_off()

    def _broken(self, error: Exception) -> None:
        logger.error("%s: the application's response cannot be sent: %s", self._name(), error)
        self.context.counters.count("broken.invalid_response")
        self._leave()
        if self._spoken:
            self._break_off()
        else:
            self._answer(500, (TEXT,), b"the application sent an invalid response\n")

    def _answer(self, status: int, headers: Fields, body: bytes) -> None:
        """Answer ourselves. Without a head nothing is known about what follows, and the connection ends."""
        head = self._head
        if head is None:
            response = Http1Response(False, True, False, self.context.lines)
        else:
            response = Http1Response(head.method == "HEAD", head.version == "1.1", head.keep_alive, self.context.lines)
        start: Event = {"type": "http.response.start", "status": status, "headers": headers}
        events = [start, {"type": "http.response.body", "body": body}]
        self._write(response.render(events, self._request_over and not self.context.draining))
        self._spoken = True
        if self.context.access_log.enabled:
            self._log(status)
        self._finish(response.keep_alive)

    def _refuse(self, refusal: Refusal) -> None:
        """The request is not served; what was read of it, and what may follow, cannot be trusted."""
        self.context.counters.count("refused." + refusal.name)
        self._request_over = False
        if self._upstream is not None:
            self._leave()
            if self._spoken:
                self._break_off()
                return
        more = ((b"allow", b"GET"),) if refusal.status == 405 else ()
        self._answer(refusal.status, (TEXT, *more), refusal.why.encode() + b"\n")

    def _refuse_full(self) -> None:
        self.context.counters.count("refused.limit_concurrency")
        self._answer(503, (TEXT, RETRY_AFTER), b"too many connections are under way\n")

    def _name(self) -> str:
        return self._upstream.channel if self._upstream is not None else "no connection"

    # The end of an exchange, and of the connection.

    def _release(self) -> Upstream | None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            self.context.under_way -= 1
        return upstream

    def _leave(self) -> None:
        upstream = self._release()
        if upstream is not None:
            upstream.leave()

    def _finish(self, keep_alive: bool) -> None:
        """The response is complete: on to the next request, or to the end."""
        self._response = self._head = None
        self._undelivered_bytes = 0
        if self._paused:
            self._unpause(NO_ROOM)
        if keep_alive:
            self._phase = HEAD
            self.deadline = self.context.idle_deadline
            if self._turns.waiting:
                self._go_on()
        elif self._request_over and not self._turns.waiting:
            self._close()
        else:
            self._linger()

    def _linger(self) -> None:
        """Nothing more will be said; read until the client has read it all, for a while."""
        self._turns.forget()
        self._phase = LINGERING
        self._parts = []
        self._paused = 0
        self.factory.unread.discard(self)
        self.transport.resumeProducing()
        self.transport.write_eof()
        self.deadline = self.context.deadline(LINGER_S)

    def _close(self) -> None:
        """Close once all is written; a client that takes nothing is not waited for any longer than any other."""
        self._retire()
        if self.transport.get_write_buffer_size():
            self.context.stalled.watch(self.transport, self.context.now, self._stalled)
        self.transport.loseConnection()

    def _break_off(self) -> None:
        """End in mid-response, so that the client can tell: the last chunk is missing, or the length, or it is reset."""
        framed = self._response is not None and self._response.framed
        self._response = self._head = None
        if framed:
            self._close()
        else:
            self._retire()
            self.transport.reset(after_writing=True)

    def _retire(self) -> None:
        """This connection is nobody's business here any more."""
        self._phase = GONE
        self.deadline = inf
        self._turns.forget()
        self._intake.close()
        self.factory.connections.discard(self)
        self.factory.unread.discard(self)

    # What the sweep says.

    def late(self, now: float) -> None:
        """The deadline is past; which one it was, the phase tells."""
        if self._phase is HEAD and self._head_begun:
            self._refuse(Refusal(408, "the request head did not come in time", "head_timeout"))
        elif self._phase is HEAD:
            self.context.counters.count("closed.idle")
            self._close()
        elif self._phase is EXCHANGE:
            self.context.counters.count("refused.response_timeout")
            self._leave()
            self._answer(504, (TEXT,), b"the application did not answer in time\n")
        else:
            self._linger_on(now)

    def _linger_on(self, now: float) -> None:
        """Whoever still takes what we said may go on; for the others the time is over."""
        acknowledged = self.transport.acknowledged_bytes()
        if self.transport.unsent_bytes() and acknowledged > self._acknowledged_bytes:
            self._acknowledged_bytes = acknowledged
            self.deadline = now + LINGER_S
        else:
            self._retire()
            self.transport.abortConnection()

    def hung_up(self) -> None:
        """The client closed while nobody read its socket."""
        self._leave()
        self._retire()
        self.transport.abortConnection()

    def close_if_idle(self) -> None:
        if self._phase is HEAD and not self._head_begun:
            self._close()

    def cut_off(self) -> None:
        """The process ends: so does this, whatever it was doing."""
        self.context.counters.count("aborted.shutdown")
        self.hung_up()

    def _stalled(self) -> None:
        self.context.counters.count("aborted.stalled")
        self._leave()
        self._retire()
        self.transport.reset()

    # Reading.

    def _pause(self, why: int) -> None:
        if not self._paused:
            self.transport.pauseProducing()
            self.factory.unread.add(self)
        self._paused |= why

    def _unpause(self, why: int) -> None:
        if self._paused & why:
            self._paused &= ~why
            if not self._paused:
                self.factory.unread.discard(self)
                self.transport.resumeProducing()
