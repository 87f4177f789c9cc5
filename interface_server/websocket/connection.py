"""One client's WebSocket: the handshake, what the pump says, and the deadlines.

`upgrade` takes a connection over from HTTP. Until the application answers, a socket is a place in a queue and a few slots.
What each event of the application then means stands in `websocket_session.MOVES`; this file obeys.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from channel_layer.protocol.close_codes import ABNORMAL, INTERNAL_ERROR
from channel_layer.protocol.events import Event
from channel_layer.protocol.scope import Scope
from interface_server.connections.interfaces import EndReason
from interface_server.http.response import InvalidResponse
from interface_server.transport.transport import PeerTimedOut, Transport
from interface_server.websocket.connection_base import RETRY_AFTER, WebSockets
from interface_server.websocket.frame_parser import negotiate_deflate
from interface_server.websocket.frames import FIN, PING, frame
from interface_server.websocket.handshake import BadHandshake, Handshake
from interface_server.websocket.message_encoder import Composer
from interface_server.websocket.reader import Reading
from interface_server.websocket.state import Action, State, meaning, sendable_code
from interface_server.websocket.writer import Writing

PING_TIMEOUT = "ping timeout"
_PING_FRAME = frame(FIN | PING, b"")


def upgrade(transport: Transport, scope: Event, remaining_bytes: bytes, shared: WebSockets) -> None:
    """Take `transport` over from HTTP, whose protocol must not touch it again.

    scope: ASGI's, `type` websocket, without `subprotocols`; its head is checked as HTTP's, not yet as a WebSocket's.
    remaining_bytes: what was read behind the head.
    """
    socket = WebSocket(shared, transport)
    transport.switch_protocol(socket)
    socket.begin(scope, remaining_bytes)


@implementer(IProtocol)
class WebSocket(Reading, Writing):
    """One WebSocket: towards the transport Twisted's protocol, towards the pump a `Client`."""

    __slots__ = ()

    factory = None

    # The handshake.

    def begin(self, scope: Event, remaining_bytes: bytes) -> None:
        """Judge the head and bring the connection to the door, or refuse it."""
        context = self._shared.context
        full = context.full()
        context.under_way += 1
        self._shared.alive.add(self)
        self._handshake = handshake = Handshake(scope, context.default_headers, self._shared.encode_denial)
        try:
            scope["subprotocols"] = handshake.check(scope["headers"])
        except BadHandshake as bad:
            self._refuse(bad.status, bad.why, bad.field)
            return
        if full:
            self._refuse(503, "too many connections", RETRY_AFTER)
            return
        self._held = remaining_bytes
        self._upstream = context.door.open(self, Scope(scope), b"", False)

    def _accept(self, event: Event) -> None:
        context, handshake, extension = self._shared.context, self._handshake, ""
        assert handshake is not None
        if context.settings.ws_per_message_deflate and handshake.offer.extensions:
            agreed = negotiate_deflate(handshake.offer.extensions)
            if agreed is not None:
                self._deflate, extension = agreed
        try:
            answer = handshake.accept(event, extension)
        except InvalidResponse as error:
            self._at_fault(str(error))
            return
        self._handshake = None
        self._transport.write(answer)
        self._composer = None if self._deflate is None else Composer(self._deflate)
        self._state = State.OPEN
        self._clear = self._composer is None and not self._writing_paused
        self._shared.watch.opened(self, context.loop.time())
        handshake.log(context.access_log, 101)
        self._read_on()

    def _deny(self, event: Event) -> None:
        """A response of the application's own; its head leaves with the first part of its body."""
        handshake = self._handshake
        assert handshake is not None
        try:
            data = handshake.deny(event)
        except (InvalidResponse, KeyError, TypeError, ValueError) as error:
            self._at_fault(f"{error!r}")
            return
        self._shared.watch.accepting.disarm(self)
        self._state = State.DENYING
        if data:
            self._transport.write(data)
        if handshake.fault:
            self._at_fault(f"a denial response {handshake.fault}")
        elif handshake.over:
            handshake.log(self._shared.context.access_log, handshake.status)
            self._leave(ABNORMAL)
            self._drain()

    # What the pump says (`Client`; `push` is in writer.py).

    def adopted(self) -> None:
        if self._state is State.CONNECTING:
            self._shared.watch.accepting.arm(self, self._shared.context.loop.time())

    def deliver(self, events: Sequence[Event], size_bytes: int) -> None:
        for event in events:
            action = meaning(self._state, event["type"])
            if action is Action.SEND:
                self._send(event)
            else:
                self._perform(action, event)
        upstream = self._upstream
        if upstream is not None:
            if self._writing_paused:
                self._undelivered += size_bytes
            else:
                upstream.delivered(size_bytes)

    def _perform(self, action: Action, event: Event) -> None:
        if action is Action.ACCEPT:
            self._accept(event)
        elif action is Action.CLOSE:
            self._close(sendable_code(event.get("code")), event.get("reason") or "")
        elif action is Action.REJECT:
            self._leave(ABNORMAL)
            self._refuse(403, "the application refused the WebSocket")
        elif action is Action.DENY:
            self._deny(event)
        elif action is Action.BREAK:
            self._at_fault(f"{event['type']} has no place while the socket is {self._state.name.lower()}")

    def end(self, end_reason: EndReason) -> None:
        self._upstream = None
        if self._state is State.CONNECTING:
            self._refuse(end_reason.status, end_reason.why, RETRY_AFTER if end_reason.status == 503 else b"")
        elif self._state is State.DENYING:
            self._abort("denial_cut")
        elif self._state is State.OPEN:
            self._close(end_reason.close_code, "" if end_reason is EndReason.FINISHED else end_reason.why)

    def resume(self) -> None:
        if self._reading_paused:
            self._read_on()

    def wanted(self) -> None:
        """A WebSocket has no body."""

    # Deadlines (`websocket_watch.Overdue`).

    def accept_overdue(self) -> None:
        if self._state is State.CONNECTING:
            self._leave(ABNORMAL)
            self._refuse(504, "the application did not answer the handshake in time")

    def ping_due(self) -> None:
        if self._state is not State.OPEN:
            return
        watch, now = self._shared.watch, self._shared.context.loop.time()
        if self._reading_paused and not self._breathing:
            # Who is not read cannot be heard, neither its pong nor its end. The kernel knows of the latter.
            if self._transport.hung_up():
                self._abort("hung_up")
                return
        elif not self._writing_paused and not self._pinged:  # who does not read is looked after by the stall watch
            self._transport.write(_PING_FRAME)
            if watch.ponging.delay_s > 0:
                self._pinged = True
                watch.ponging.arm(self, now)
        watch.pinging.arm(self, now)

    def pong_overdue(self) -> None:
        if self._state is not State.OPEN:
            return
        if self._reading_paused or self._writing_paused:
            self._shared.watch.ponging.arm(self, self._shared.context.loop.time())
            return
        self._shared.context.counters["closed.ping_timeout"] += 1
        self._leave(ABNORMAL, PING_TIMEOUT)  # nobody has closed it: its client is gone, as far as anybody can tell
        self._close(INTERNAL_ERROR, PING_TIMEOUT)

    def close_overdue(self) -> None:
        """The client did not hang up: do it ourselves, unless it is honestly slow and still takes what we wrote."""
        context = self._shared.context
        if self._transport.get_write_buffer_size() == 0:  # what the kernel has of ours still leaves
            self._state = State.CLOSED
            self._transport.loseConnection()
        elif self._given_up:
            self._state = State.CLOSED
            self._transport.abortConnection()
        else:
            context.stalled.watch(self._transport, context.now, self._stalled)
            self._shared.watch.closing.arm(self, context.loop.time())

    # The transport's last and first word.

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        while self._held and self._state is State.OPEN:
            self._read_on()  # what was read before the end still counts; it is one read at most
        self._state = State.CLOSED
        self._clear = False
        context = self._shared.context
        if isinstance(reason.value, PeerTimedOut):
            context.counters["aborted.peer_timed_out"] += 1
        context.under_way -= 1
        self._shared.alive.discard(self)
        self._shared.unread.discard(self)
        context.stalled.forget(self._transport)
        context.slow.forget(self._transport)
        self._shared.watch.forget(self)
        self._leave(ABNORMAL)
        self._framing = self._handshake = self._composer = None

    def makeConnection(self, transport: Any) -> None:
        """Twisted's word for a new transport; ours is known from the beginning."""

    def connectionMade(self) -> None:
        """Said to HTTP already."""
