"""What every part of an HTTP/1 connection knows of it, and the ways in which an exchange and the connection end.

A connection is put together from three parts that share these slots: `request_reader.py` (from the bytes to the
door), `response_writer.py` (from the pump's events to the bytes) and `connection.py` (what the transport and
the sweep say). One object, and nothing in its dictionary: there may be many of them, idle.

* An end that could be taken for success is none: what breaks in mid-response is cut off visibly.
* Whoever is refused, or answered before the end of the request, is listened to for a little while after our last word: a
  connection that is closed upon unread bytes is reset, and the answer is lost with it (RFC 9112, 9.6).
"""

from __future__ import annotations

import logging
from enum import Enum, auto
from math import inf
from typing import Protocol

from channel_layer.protocol.events import Event
from channel_layer.protocol.scope import Scope
from interface_server.connections.interfaces import Upstream
from interface_server.http.request import Fields, Head
from interface_server.http.scope import Place
from interface_server.http1.encoder import Http1Response
from interface_server.http1.parser import Intake
from interface_server.http1.pipeline import Turns
from interface_server.http1.registry import Http1Registry
from interface_server.transport.transport import Transport

logger = logging.getLogger("towpath.interface")

LINGER_S = 5.0  #: how long we listen after our last word
RETRY_AFTER = (b"retry-after", b"1")
TEXT = (b"content-type", b"text/plain; charset=utf-8")


class OnUpgrade(Protocol):
    """Takes the transport over for a WebSocket: the scope of its handshake, and the bytes that were read behind its head."""

    def __call__(self, transport: Transport, scope: Event, remaining_bytes: bytes) -> None: ...


class Phase(Enum):
    HEAD = auto()  # no request is under way; a head is awaited, or has begun to come
    EXCHANGE = auto()  # a request is under way: its body comes, or its response goes, or both
    LINGERING = auto()  # our last word is said; what still comes is thrown away
    GONE = auto()  # the socket is closed, or closing, or belongs to somebody else


# A member of an Enum is found by a slow way through its class: these stand on the way of every request.
HEAD, EXCHANGE, LINGERING, GONE = Phase

#: Why the socket is not read, as bits: the application's window is used up; the client is ahead of its responses; the client
#: has closed its own direction, and waits for the answer to a complete request.
NO_ROOM, AHEAD, HALF_CLOSED = 1, 2, 4


class HttpSocket:
    """The slots, the endings, and whether the socket is read."""

    __slots__ = (
        "_acknowledged_bytes",
        "_ahead",
        "_continue_owed",
        "_head",
        "_head_begun",
        "_intake",
        "_on_upgrade",
        "_opened",
        "_parts",
        "_paused",
        "_phase",
        "_place",
        "_request_over",
        "_response",
        "_scope",
        "_spoken",
        "_turns",
        "_undelivered_bytes",
        "_upstream",
        "_write_paused",
        "connected",
        "context",
        "deadline",
        "factory",
        "registry",
        "transport",
    )

    transport: Transport
    _place: Place  # from `connectionMade` on
    _intake: Intake
    _turns: Turns
    _scope: Scope  # of the exchange under way

    def __init__(self, registry: Http1Registry, on_upgrade: OnUpgrade) -> None:
        self.registry = registry
        self.context = registry.context
        self._on_upgrade = on_upgrade
        self.deadline = inf  #: loop.time() after which `late` is called
        self._phase = HEAD
        self._head_begun = False
        self._paused = 0
        self._write_paused = False
        self._acknowledged_bytes = 0
        self._ahead = b""  # read, and not yet parsed: the client is ahead of its responses
        # Of the exchange under way.
        self._head: Head | None = None
        self._parts: list[bytes] = []
        self._opened = False  # was the request brought to the door, or answered by ourselves?
        self._request_over = False
        self._continue_owed = False
        self._spoken = False  # has a byte of the response been written, and not its last?
        self._response: Http1Response | None = None  # from the application's first word on, if more than one is needed
        self._upstream: Upstream | None = None
        self._undelivered_bytes = 0

    # What the other parts do.

    def _answer(self, status: int, headers: Fields, body: bytes) -> None:
        raise NotImplementedError

    def _go_on(self) -> None:
        raise NotImplementedError

    def dataReceived(self, data: bytes) -> None:
        raise NotImplementedError

    # The end of an exchange.

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
        self._spoken = False
        self._undelivered_bytes = 0
        if self._paused:
            self._unpause(NO_ROOM)
            keep_alive = keep_alive and not self._paused & HALF_CLOSED
        if keep_alive:
            self._phase = HEAD
            self.deadline = self.context.idle_deadline
            if self._turns.waiting:
                self._go_on()
        elif self._request_over and not self._turns.waiting and not self._ahead:
            self._close()
        else:
            self._linger()

    # The end of the connection.

    def _linger(self) -> None:
        """Nothing more will be said; read until the client has read it all, for a while."""
        self._forget_ahead()
        self._intake.close()
        self.registry.uploading.pop(self, None)
        self._phase = LINGERING
        self._parts = []
        self._paused = 0
        self.registry.unread.discard(self)
        self.transport.resumeProducing()
        self.transport.write_eof()
        self.deadline = self.context.deadline(LINGER_S)

    def _linger_on(self, now: float) -> None:
        """Whoever still takes what we said may go on; for the others the time is over."""
        acknowledged = self.transport.acknowledged_bytes()
        if self.transport.unsent_bytes() and acknowledged > self._acknowledged_bytes:
            self._acknowledged_bytes = acknowledged
            self.deadline = now + LINGER_S
        else:
            self._retire()
            self.transport.abortConnection()

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
        self._forget_ahead()
        self._intake.close()
        self.registry.connections.discard(self)
        self.registry.uploading.pop(self, None)
        self.registry.unread.discard(self)
        self.context.half_closed.forget(self.transport)

    def _let_go(self) -> None:
        """Retired, and no word of this connection is on its way: these two hold us, and all of it would stay until the garbage
        collector comes by."""
        del self._intake, self._turns

    def _stalled(self) -> None:
        self.context.counters["aborted.stalled"] += 1
        self._leave()
        self._retire()
        self.transport.reset()

    # Reading.

    def _forget_ahead(self) -> None:
        """What the client has said ahead of its responses is not served any more."""
        self._turns.forget()
        self._ahead = b""

    def _pause(self, why: int) -> None:
        if not self._paused:
            self.transport.pauseProducing()
            self.registry.unread.add(self)  # type: ignore[arg-type]  # this is an HttpProtocol
        self._paused |= why

    def _unpause(self, why: int) -> None:
        if self._paused & why:
            self._paused &= ~why
            if not self._paused:
                self.registry.unread.discard(self)
                self.transport.resumeProducing()
