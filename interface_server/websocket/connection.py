"""The connection of one WebSocket client: owns the state, and performs the moves of its table.

`upgrade` takes a byte stream over from HTTP. Until the application answers, a connection is a place in a queue and a few slots.
state.py defines what each event means. `_enter` is the only place where the state changes. Messages pass through reader.py and writer.py.

There may be a hundred thousand idle connections: each is three small objects without a dictionary.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from channel_layer.protocol.close_codes import ABNORMAL
from channel_layer.protocol.events import Event
from channel_layer.protocol.scope import Scope
from interface_server.connections.interfaces import EndReason, Upstream
from interface_server.groups.interfaces import PushedMessage
from interface_server.http.response_head import InvalidResponse
from interface_server.transport.byte_stream import ByteStream
from interface_server.transport.transport import PeerTimedOut
from interface_server.websocket import termination
from interface_server.websocket.frames import FIN, PING, PONG, BadFrame, close_frame, frame, parse_close
from interface_server.websocket.handshake import BadHandshake
from interface_server.websocket.opening import Opening
from interface_server.websocket.reader import FrameReader
from interface_server.websocket.registry import WebSocketRegistry
from interface_server.websocket.state import (
    Action,
    Move,
    WebSocketState,
    WebSocketTrigger,
    application_move,
    push_move,
    transition,
)
from interface_server.websocket.termination import Termination
from interface_server.websocket.writer import MessageWriter

PING_FRAME: Final = frame(FIN | PING, b"")
# The lookup of an Enum's member through its class is slow, and every message needs these.
CONNECTING: Final = WebSocketState.CONNECTING
DENYING: Final = WebSocketState.DENYING
OPEN: Final = WebSocketState.OPEN
CLOSING: Final = WebSocketState.CLOSING
DRAINING: Final = WebSocketState.DRAINING
CLOSED: Final = WebSocketState.CLOSED
SEND: Final = Action.SEND

logger: Final = logging.getLogger("towpath.interface")


def upgrade(stream: ByteStream, scope: Event, remaining_bytes: bytes, registry: WebSocketRegistry) -> None:
    """Take `stream` over from HTTP/1; its connection must not touch the stream again.

    scope: ASGI's, of type `websocket`, without `subprotocols`. Its head is valid HTTP, and not yet checked as a WebSocket's.
    remaining_bytes: bytes that were read after the head.
    """
    connection = WebSocketConnection(registry, stream)
    stream.switch_protocol(connection)
    connection.begin(scope, remaining_bytes)


class WebSocketConnection:
    """One WebSocket: a `ByteReceiver` for its stream, and a `Client` for the dispatcher."""

    __slots__ = ("_opening", "_reader", "_registry", "_state", "_stream", "_writer", "upstream")
    last_worker = ""  #: no request follows

    def __init__(self, registry: WebSocketRegistry, stream: ByteStream) -> None:
        self._registry = registry
        self._stream = stream
        self._state = CONNECTING
        self._opening: Opening | None = None  # until the handshake is answered
        self.upstream: Upstream | None = None  #: until either side has ended the connection
        self._reader = FrameReader(self, stream, registry)
        self._writer = MessageWriter(self, stream, registry)

    # The handshake.

    def begin(self, scope: Event, remaining_bytes: bytes) -> None:
        """Check the head, then open the connection at the dispatcher, or refuse it."""
        context = self._registry.context
        full = context.full()
        self._registry.add(self)
        self._opening = opening = Opening(scope, self._stream, self._registry)
        try:
            opening.check(scope)
        except BadHandshake as bad:
            self._end(WebSocketTrigger.REFUSED, Termination(status=bad.status, why=bad.why, field_line=bad.field))
            return
        if full:
            self._end(WebSocketTrigger.REFUSED, termination.FULL)
            return
        self._reader.hold(remaining_bytes)
        self.upstream = context.backend.open(self, Scope(scope), b"", False)
        opening.opened(self.upstream)

    def _accept(self, state: WebSocketState, event: Event) -> None:
        assert self._opening is not None
        try:
            deflate = self._opening.accept(event)
        except InvalidResponse as error:
            self.fail_application(str(error))
            return
        self._opening = None
        self._enter(state)
        self._writer.start(deflate)
        self._reader.start(deflate)

    def _deny(self, state: WebSocketState, event: Event) -> None:
        assert self._opening is not None
        self._enter(state)
        try:
            if self._opening.deny(event):
                self._end(WebSocketTrigger.DENIED, termination.NOTHING_MORE)
        except (InvalidResponse, KeyError, TypeError, ValueError) as error:
            self.fail_application(f"{error!r}")

    # Calls of the dispatcher (`Client`).

    def adopted(self) -> None:
        if self._state is CONNECTING:
            self._registry.timeouts.accepting.arm(self, self._registry.now())

    def deliver(self, events: Sequence[Event], size_bytes: int) -> None:
        for event in events:
            move = application_move(self._state, event["type"])
            if move[1] is SEND:
                self._writer.send(event)
            else:
                self._answer(move, event)
        upstream = self.upstream
        if upstream is not None:
            self._writer.delivered(upstream, size_bytes)

    def push(self, pushed: PushedMessage) -> None:
        if not self._writer.obstacles:
            data = pushed.frame
            if data is not None:
                self._stream.write(data)
                return
        kind = pushed.event.get("type")
        move = push_move(self._state, kind)
        if move[1] is SEND:
            self._writer.push(pushed)
        elif move[1] is Action.CLOSE:
            self._perform(move, termination.asked_for(pushed.event))
        else:
            self._registry.count_dropped(kind)

    def end(self, end_reason: EndReason) -> None:
        self.upstream = None
        self._end(WebSocketTrigger.ENDED, termination.ended_by_dispatcher(end_reason))

    def resume(self) -> None:
        if self._reader.paused:
            self._reader.resume()

    def on_body_requested(self) -> None:
        """A WebSocket has no body."""

    @property
    def mid_message(self) -> bool:
        """See `Client.mid_message`."""
        return self._writer.mid_message

    @property
    def request(self) -> str:
        """See `Client.request`."""
        return ""

    # Calls of the reader and the writer.

    def ping_received(self, payload: bytes) -> None:
        if self._state is OPEN:
            self._writer.write_control(frame(FIN | PONG, payload))

    @property
    def writing_paused(self) -> bool:
        return self._writer.paused

    def ping(self) -> bool:
        return self._writer.write_control(PING_FRAME)

    def on_hang_up(self) -> None:
        self._end(WebSocketTrigger.HUNG_UP, termination.HUNG_UP)

    def pong_overdue(self) -> None:
        self._registry.context.counters["closed.ping_timeout"] += 1
        self._leave(ABNORMAL, termination.PING_TIMEOUT)  # neither side has closed: the client is most likely gone
        self._end(WebSocketTrigger.PONG_OVERDUE, termination.PONG_TOO_LATE)

    def close_received(self, payload: bytes) -> None:
        state, action = transition(self._state, WebSocketTrigger.CLOSE_RECEIVED)
        if action is Action.ANSWER_CLOSE:
            answer, code, reason = parse_close(payload)
            self._stream.write(close_frame(answer))
            self._hang_up(state)
            self._leave(code, reason)
        elif action is Action.HANG_UP:
            self._hang_up(state)

    def protocol_failed(self, bad: BadFrame) -> None:
        self._end(WebSocketTrigger.BAD_FRAME, Termination(code=bad.code, reason=bad.reason))

    def fail_application(self, what: str) -> None:
        """End the connection because the application (or its worker) broke the rules. The client gets the best answer that is left."""
        logger.error("%s: %s", self.upstream.channel if self.upstream is not None else "?", what)
        self._registry.context.counters["closed.application_error"] += 1
        begun = self._opening is not None and self._opening.begun
        self._end(
            WebSocketTrigger.DENIAL_BROKEN if begun else WebSocketTrigger.APPLICATION_FAILED,
            termination.APPLICATION_FAILED,
        )

    def too_slow(self) -> None:
        self._end_slow("slow", WebSocketTrigger.SLOW)

    def stalled(self) -> None:
        self._end_slow("stalled", WebSocketTrigger.STALLED)

    def _end_slow(self, why: str, trigger: WebSocketTrigger) -> None:
        if self._state is OPEN:
            self._writer.close_as_slow(why)
        self._end(trigger, termination.TOO_SLOW)

    # Deadlines, and the end of the process.

    def accept_overdue(self) -> None:
        self._end(WebSocketTrigger.ACCEPT_OVERDUE, termination.ACCEPT_TOO_LATE)

    def close_overdue(self) -> None:
        """Hang up, since the client did not; but wait on for a slow client that still takes what was written."""
        context = self._registry.context
        if self._stream.get_write_buffer_size() == 0:  # the kernel still sends what it has
            self._end(WebSocketTrigger.CLOSE_OVERDUE, termination.NOTHING_MORE)
        elif self._writer.closed_as_slow:
            self._end(WebSocketTrigger.SLOW_CLOSE_OVERDUE, termination.NOTHING_MORE)
        else:
            context.write_timeouts.watch(self._stream, context.now, self.stalled)
            self._registry.timeouts.closing.arm(self, self._registry.now())

    def end_for_shutdown(self) -> None:
        self._end(WebSocketTrigger.SHUTDOWN, termination.LEAVING)

    # How the moves of the table are performed.

    def _answer(self, move: Move, event: Event) -> None:
        """Perform the move of an application's event that is not a message."""
        state, action = move
        if action is Action.ACCEPT:
            self._accept(state, event)
        elif action is Action.DENY:
            self._deny(state, event)
        elif action is Action.PROTOCOL_ERROR:
            self.fail_application(f"{event['type']} has no place while the socket is {self._state.name.lower()}")
        else:
            self._perform(move, termination.asked_for(event))

    def _end(self, trigger: WebSocketTrigger, how: Termination) -> None:
        """Perform the move of a trigger that ends the connection, unless it comes too late."""
        self._perform(transition(self._state, trigger), how)

    def _perform(self, move: Move, how: Termination) -> None:
        state, action = move
        if action is Action.CLOSE:
            self._close(state, how)
        elif action is Action.REFUSE:
            self._refuse(state, how)
        elif action is Action.FAIL:
            self._fail(state, how)
        elif action is Action.DRAIN:
            self._leave(how.application_code)
            self._drain(state)
        elif action is Action.HANG_UP:
            self._hang_up(state)
        elif action is Action.ABORT:
            self._abort(state, how)

    def _enter(self, state: WebSocketState) -> None:
        """Change the state. In the last three states the connection only waits for its end, for a bounded time."""
        self._state = state
        if state is OPEN or state is DENYING:
            self._registry.timeouts.accepting.disarm(self)
        else:
            self._writer.stop()
            self._reader.stop_pings()
            self._registry.timeouts.closing_down(self, self._registry.now())

    def _close(self, state: WebSocketState, how: Termination) -> None:
        """Write a close frame. A client that does not answer it in time is cut off."""
        self._stream.write(close_frame(how.code, how.reason))
        self._enter(state)
        self._leave(how.code, how.reason)
        self._reader.resume()

    def _fail(self, state: WebSocketState, how: Termination) -> None:
        """Write a close frame after a protocol error; nothing that follows can be parsed."""
        self._registry.context.counters[f"closed.websocket_{how.code}"] += 1
        self._stream.write(close_frame(how.code, how.reason))
        self._leave(how.code, how.reason)
        self._drain(state)

    def _refuse(self, state: WebSocketState, how: Termination) -> None:
        self._leave(how.application_code)
        opening, self._opening = self._opening, None
        assert opening is not None
        opening.refuse(how)
        self._drain(state)

    def _drain(self, state: WebSocketState) -> None:
        """Close our direction, and wait until the client closes its own."""
        self._enter(state)
        self._stream.write_eof()
        self._reader.discard()

    def _hang_up(self, state: WebSocketState) -> None:
        """Close the stream. After both close frames the server closes first: RFC 6455, section 7.1.1."""
        self._enter(state)
        self._reader.discard()
        self._stream.close()

    def _abort(self, state: WebSocketState, how: Termination) -> None:
        """Abort without a close frame, so that the client can tell that something is missing."""
        if how.counter:
            self._registry.context.counters[f"aborted.{how.counter}"] += 1
        self._leave(how.application_code)
        self._enter(state)
        self._reader.discard()
        self._stream.abort()

    def _leave(self, code: int, reason: str = "") -> None:
        upstream, self.upstream = self.upstream, None
        if upstream is not None:
            upstream.leave(code, reason)

    # Calls of the stream (`ByteReceiver`).

    def dataReceived(self, data: bytes) -> None:
        state = self._state
        if state is OPEN or state is CLOSING:
            self._reader.receive_data(data)
        elif state is CONNECTING:
            self._reader.hold(data)

    def pause_writing(self) -> None:
        self._writer.buffer_full()

    def resume_writing(self) -> None:
        self._writer.buffer_drained()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._state is OPEN:
            self._reader.finish()
        if isinstance(reason.value, PeerTimedOut):
            self._registry.context.counters["aborted.peer_timed_out"] += 1
        self._enter(transition(self._state, WebSocketTrigger.LOST)[0])
        self._registry.remove(self, self._stream)
        self._leave(ABNORMAL)
        self._opening = None
        self._reader.detach()
        self._writer.detach()
