"""One client's connection with HTTP/1: its socket, its phases, its deadlines, and its ways to end.

It owns a reader (request_reader.py: bytes to requests), a writer (response_writer.py: responses to bytes), and the exchange between
them (http/exchange.py), made once and used for one request after another.

* A connection with a request that was refused, or answered before its end, is read for a while after our last byte: one that
  is closed upon unread bytes is reset, and the answer is lost with it (RFC 9112, 9.6).

Deadlines are numbers, which one timer checks for all connections (registry.py). PROTOCOL.md, P1, P5, P12.
"""

from __future__ import annotations

from math import inf
from typing import Final, Protocol

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from channel_layer.protocol.events import Event
from interface_server.http.answers import RequestError
from interface_server.http.exchange import COMPLETE, NONE, Exchange
from interface_server.http.measured_response import MeasuredResponse
from interface_server.http1.phase import EXCHANGE, GONE, HEAD, IDLE, KEPT, LINGERING, Phase, phase_step
from interface_server.http1.registry import Http1Registry
from interface_server.http1.request_reader import HALF_CLOSED, NO_CREDIT, RequestReader
from interface_server.http1.response_writer import ResponseWriter
from interface_server.transport.transport import PeerTimedOut, Transport

LINGER_S: Final = 5.0  #: time for which we read after our last byte
#: The deadline of a new connection may be older than the present one by this much. Deadlines count from the last tick of the timer,
#: once a second, so a connection is new for 1 to 2 s.
NEW_S: Final = 1.5


class OnUpgrade(Protocol):
    """Takes the transport over for a WebSocket. remaining_bytes: those that were read behind the head of its handshake."""

    def __call__(self, transport: Transport, scope: Event, remaining_bytes: bytes) -> None: ...


class Http1Connection:
    """One connection: a protocol of Twisted's for its transport. It has no dictionary, since many may be idle."""

    __slots__ = (
        "_acknowledged_bytes",
        "_on_upgrade",
        "_registry",
        "context",
        "deadline",
        "exchange",
        "measured",
        "phase",
        "reader",
        "transport",
        "write_paused",
        "writer",
    )
    __deletable__ = ("exchange", "measured", "reader", "writer")  # for mypyc, where a class is compiled

    # From `makeConnection` until the transport is gone, or belongs to a WebSocket.
    transport: Transport
    exchange: Exchange
    measured: MeasuredResponse | None  #: for an access log that needs it
    reader: RequestReader
    writer: ResponseWriter

    def __init__(self, registry: Http1Registry, on_upgrade: OnUpgrade) -> None:
        self._registry = registry
        self.context = registry.context
        self._on_upgrade = on_upgrade
        self.deadline = inf  #: loop.time() after which `late` is called
        self.phase: Phase = IDLE
        self.write_paused = False
        self._acknowledged_bytes = 0

    def enter(self, phase: Phase, deadline: float) -> None:
        """Move on to `phase`, until the `deadline`. Raises IllegalMove: a bug of ours."""
        self.phase = phase_step(self.phase, phase)
        self.deadline = deadline

    # Calls of the transport.

    def makeConnection(self, transport: Transport) -> None:
        self.transport = transport
        self.reader = RequestReader(self)
        self.writer = ResponseWriter(self, self._registry.heads)
        self.measured = None
        if self.context.access_writer is not None:
            self.measured = MeasuredResponse(self.context.access_log, self.context.access_writer, self.writer)
        self.exchange = Exchange(self.context, self.measured or self.writer, self.reader)
        self._registry.connections.add(self)
        self.deadline = self.context.idle_deadline

    def dataReceived(self, data: bytes) -> None:
        if self.phase is not LINGERING and self.phase is not GONE:
            self.reader.receive(data)

    def eof_received(self) -> bool:
        """Read no more, or end the connection. Returns True while the client may wait for the answer to a complete request."""
        if self.phase is EXCHANGE and self._is_request_complete() and self._may_be_waiting():
            self.reader.pause(HALF_CLOSED)
            self._watch_half_closed()
            return True
        self.exchange.leave()
        self._detach()
        return False

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if isinstance(reason.value, PeerTimedOut):
            self.context.counters["aborted.peer_timed_out"] += 1
        self.exchange.leave()
        self._detach()
        self.context.write_timeouts.forget(self.transport)
        self._break_cycles()

    def pause_writing(self) -> None:
        self.write_paused = True
        self.context.write_timeouts.watch(self.transport, self.context.now, self._stalled)

    def resume_writing(self) -> None:
        self.write_paused = False
        if self.phase is GONE:
            return  # closing: a client that takes the rest is watched to the end
        self.context.write_timeouts.forget(self.transport)
        self.writer.end_backlog()
        self.exchange.on_drained()
        self.reader.go_on()

    # Calls of the reader.

    def reading_stopped(self) -> None:
        self._registry.unread.add(self)

    def reading_resumed(self) -> None:
        self._registry.unread.discard(self)

    def upgrade(self, scope: Event, remaining_bytes: bytes) -> None:
        self._detach()
        self._on_upgrade(self.transport, scope, remaining_bytes)
        self._break_cycles()

    # Calls of the writer.

    def expect_response(self, within_s: float) -> None:
        self.deadline = self.context.deadline(within_s)

    def response_began(self) -> None:
        self.deadline = inf

    def end_exchange(self, keep_alive: bool) -> None:
        reader = self.reader
        if reader.paused:
            reader.resume(NO_CREDIT)
            keep_alive = keep_alive and not reader.paused & HALF_CLOSED
        if keep_alive:
            self.deadline = self.context.idle_deadline
            self.phase = KEPT if self.phase is EXCHANGE else phase_step(self.phase, IDLE)
            if reader.parsed:
                reader.go_on()
        elif self._is_request_complete() and not reader.has_pipelined:
            self.close()
        else:
            self._linger()

    def too_slow(self) -> None:
        waiting_bytes = self.transport.get_write_buffer_size()
        self._registry.log_slow(self.exchange.channel, waiting_bytes)
        self.exchange.leave()
        self._detach()
        self.transport.reset()

    def close(self) -> None:
        """Close once all is written; a client that takes nothing is not waited for any longer than any other."""
        self._detach()
        if self.transport.get_write_buffer_size():
            self.context.write_timeouts.watch(self.transport, self.context.now, self._stalled)
        self.transport.close()

    def reset(self) -> None:
        self._detach()
        self.transport.reset(after_writing=True)

    # Calls of the registry.

    def late(self, now: float) -> None:
        """Act on the expired deadline; the phase shows which one it was."""
        if self.phase is HEAD:
            self.exchange.refuse(RequestError(408, "the request head did not come in time", "head_timeout"))
        elif self.phase is IDLE:
            self.context.counters["closed.idle"] += 1
            self.close()
        elif self.phase is EXCHANGE:
            self.exchange.time_out()
        else:
            self._check_linger(now)

    def has_hung_up(self) -> bool:
        """True if the kernel knows that the client has closed. For use while the socket is not read."""
        return self.transport.has_hung_up()

    def on_hang_up(self) -> None:
        """Watch or end: the client closed while its socket was not read. Unread bytes may be the rest of a request, or several."""
        if self._may_be_waiting():
            self._watch_half_closed()
        else:
            self._hang_up()

    def close_if_idle(self) -> bool:
        """Close if idle and nothing is unread: a close upon unread bytes resets a request.

        Returns True if it is left open because it is new: its client has connected to send a request.
        """
        if self.phase is not IDLE or self.reader.has_unparsed or self.transport.has_unread():
            return False
        is_unused = self.exchange.request_state is NONE
        if is_unused and self.deadline > self.context.idle_deadline - NEW_S:
            return True
        self.close()
        return False

    def cut_off(self) -> None:
        """End in any phase, since the process ends. A client without an answer learns that none will come."""
        self.context.counters["aborted.shutdown"] += 1
        if not self.exchange.cut_off():
            self._hang_up()

    # A client that has closed its own direction.

    def _is_request_complete(self) -> bool:
        return self.exchange.request_state is COMPLETE

    def _may_be_waiting(self) -> bool:
        """True if a client that has closed its own direction may still be there. On TCP only a write shows it."""
        return self.context.settings.half_close_timeout_s > 0 and not self.transport.is_gone()

    def _watch_half_closed(self) -> None:
        """Start the timeout of a client that has closed its own direction; each byte that it acknowledges restarts it."""
        self.context.half_closed.watch(self.transport, self.context.now, self._half_closed_too_long)

    def _half_closed_too_long(self) -> None:
        if (
            self.transport.unsent_bytes()
        ):  # a client that had left would have reset upon them: this one is slow, which is allowed
            self._watch_half_closed()
        else:
            self.context.counters["aborted.half_closed"] += 1
            self._hang_up()

    # The end.

    def _linger(self) -> None:
        """Write nothing more, and read for a limited time, until the client has read everything."""
        self.enter(LINGERING, self.context.deadline(LINGER_S))
        self.reader.discard_rest()
        self.context.uploads.forget(self.exchange)
        self.transport.write_eof()

    def _check_linger(self, now: float) -> None:
        """Restart the timeout of a client that still takes what we wrote; abort any other."""
        acknowledged = self.transport.acknowledged_bytes()
        if self.transport.unsent_bytes() and acknowledged > self._acknowledged_bytes:
            self._acknowledged_bytes = acknowledged
            self.deadline = now + LINGER_S
        else:
            self._detach()
            self.transport.abort()

    def _stalled(self) -> None:
        self.context.counters["aborted.stalled"] += 1
        self.exchange.leave()
        self._detach()
        self.transport.reset()

    def _hang_up(self) -> None:
        self.exchange.leave()
        self._detach()
        self.transport.abort()

    def _detach(self) -> None:
        """Remove this connection from the registry and from all timeouts."""
        self.enter(GONE, inf)
        self.writer.end_backlog()
        if self.measured is not None:
            self.measured.finish()
        self.reader.close()
        self._registry.connections.discard(self)
        self._registry.unread.discard(self)
        self.context.uploads.forget(self.exchange)
        self.context.half_closed.forget(self.transport)

    def _break_cycles(self) -> None:
        """Break the reference cycles with our parts: a detached connection is freed at once, not by the garbage collector."""
        del self.reader, self.writer, self.exchange, self.measured
