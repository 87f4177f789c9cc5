"""Messages to a WebSocket's client: the application's, and those of third parties.

The application's are bounded by credit, which is given back while the stream's buffer is below its high-water mark.
Third parties cannot wait for 50 000 clients: what they send to a client that does not read is bounded here, in bytes and in time, and
beyond it the socket is closed. What the application sends by itself does not count for that. Nearly always a message is one frame,
written at once; for a group the very same bytes for all. P1, P5.
"""

from __future__ import annotations

from typing import Protocol

from channel_layer.protocol.events import Event
from interface_server.connections.interfaces import Upstream
from interface_server.groups.interfaces import PushedMessage
from interface_server.transport.byte_stream import ByteStream
from interface_server.websocket.frame_parser import Deflate
from interface_server.websocket.frames import message_frame
from interface_server.websocket.message_encoder import MessageEncoder
from interface_server.websocket.registry import WebSocketRegistry

#: What a sender's nonsense raises while a frame is built of it; nothing was written then.
_NO_MESSAGE = (TypeError, ValueError, AttributeError)
#: Of groups and third parties. So much may wait for a client as long as it likes; with more it has to keep up.
PUSHED_TOLERATED_BYTES = 1_048_576

#: Why a whole frame may not be written at once, as bits: the socket is not open; the stream's buffer is over its mark; a message is
#: compressed, or under way in parts; the client was too slow, and is given no more time than any other for a close.
NOT_OPEN, BUFFER_FULL, ENCODING, CLOSED_AS_SLOW = 1, 2, 4, 8


class MessageSender(Protocol):
    """The connection of a writer."""

    #: Gets the credit; None once the application's side is over.
    upstream: Upstream | None

    def fail_application(self, what: str) -> None:
        """The application sent what cannot be sent."""

    def push(self, pushed: PushedMessage) -> None:
        """Send it, as the state allows."""

    def too_slow(self) -> None:
        """The client does not keep up with what groups and third parties send."""

    def stalled(self) -> None:
        """The client takes nothing at all."""


class MessageWriter:
    """Writes one connection's messages to its stream."""

    __slots__ = ("_connection", "_encoder", "_pushed_bytes", "_registry", "_stream", "_undelivered_bytes", "obstacles")

    def __init__(self, connection: MessageSender, stream: ByteStream, registry: WebSocketRegistry) -> None:
        self._connection = connection
        self._stream = stream
        self._registry = registry
        self._encoder: MessageEncoder | None = None  # while the application is inside of a message; with deflate always
        self._pushed_bytes = 0  # size of what groups and third parties sent since the buffer was full
        self._undelivered_bytes = 0  # size of what the application sent since then
        self.obstacles = NOT_OPEN  #: why a whole frame may not be written at once, as bits; 0: it may

    def start(self, deflate: Deflate | None) -> None:
        """The handshake is accepted."""
        self.obstacles &= ~NOT_OPEN
        if deflate is not None:
            self._encoder = MessageEncoder(deflate)
            self.obstacles |= ENCODING

    def stop(self) -> None:
        """Our close is written, or will never be: no message may follow."""
        self.obstacles |= NOT_OPEN
        self._encoder = None

    def detach(self) -> None:
        """Drop the connection: this cycle of references would wait for the garbage collector."""
        del self._connection

    @property
    def mid_message(self) -> bool:
        """True while a message of the application's is under way in parts."""
        return self._encoder is not None and self._encoder.inside_message

    def send(self, event: Event) -> None:
        """One `websocket.send` of the application's: a message, or with `more_body` a part of one."""
        try:
            data = message_frame(event) if not self.obstacles and "more_body" not in event else self._encode(event)
        except _NO_MESSAGE as error:
            self._connection.fail_application(f"websocket.send cannot be sent: {error!r}")
            return
        self._stream.write(data)
        if self._encoder is not None and not self._encoder.inside_message:
            self._end_message(self._encoder)

    def push(self, pushed: PushedMessage) -> None:
        """A message of a third party's."""
        try:
            self._push(pushed)
        except _NO_MESSAGE:
            self._registry.context.counters["dropped.push_invalid"] += 1

    def delivered(self, upstream: Upstream, size_bytes: int) -> None:
        """So much of the application's was sent: give the credit back as soon as it has left."""
        if self.obstacles & BUFFER_FULL:
            self._undelivered_bytes += size_bytes
        else:
            upstream.delivered(size_bytes)

    def write_control(self, data: bytes) -> bool:
        """Write a ping or a pong. Not to a client that does not read: one that pings for ever would fill our buffer."""
        if self.obstacles & BUFFER_FULL:
            return False
        self._stream.write(data)
        return True

    def pause(self) -> None:
        """The stream's buffer is over its mark."""
        self.obstacles |= BUFFER_FULL
        context = self._registry.context
        context.stalled.watch(self._stream, context.now, self._connection.stalled)

    def resume(self) -> None:
        """The client has taken most of it."""
        self.obstacles &= ~BUFFER_FULL
        self._pushed_bytes = 0
        self._registry.context.slow.forget(self._stream)
        self._registry.context.stalled.forget(self._stream)
        size_bytes, self._undelivered_bytes = self._undelivered_bytes, 0
        upstream = self._connection.upstream
        if size_bytes and upstream is not None:
            upstream.delivered(size_bytes)

    def close_as_slow(self, why: str) -> None:
        """The client does not take what it is sent, and is about to be closed for that."""
        waiting_bytes = self._stream.get_write_buffer_size() + (self._encoder.waiting_bytes if self._encoder else 0)
        self._registry.log_slow(self._connection.upstream, why, waiting_bytes)
        self.obstacles |= CLOSED_AS_SLOW

    @property
    def paused(self) -> bool:
        """True while the stream's buffer is over its mark."""
        return bool(self.obstacles & BUFFER_FULL)

    @property
    def closed_as_slow(self) -> bool:
        """True if the client was too slow."""
        return bool(self.obstacles & CLOSED_AS_SLOW)

    def _encode(self, event: Event) -> bytes:
        encoder = self._encoder
        if encoder is None:
            if not event.get("more_body"):
                return message_frame(event)
            encoder = MessageEncoder()
        data = encoder.encode(event)
        self._encoder = encoder
        self.obstacles |= ENCODING
        return data

    def _end_message(self, encoder: MessageEncoder) -> None:
        """A composed message is over: what waited for that may go."""
        if not encoder.compresses:
            self._encoder = None
            self.obstacles &= ~ENCODING
        for pushed in encoder.take_waiting():
            self._connection.push(pushed)

    def _push(self, pushed: PushedMessage) -> None:
        encoder = self._encoder
        data = b""
        if encoder is None:
            if pushed.frame is None:
                pushed.frame = message_frame(pushed.event)
            data = pushed.frame
        elif encoder.inside_message:
            encoder.hold(pushed)
        else:
            data = encoder.encode({**pushed.event, "more_body": False})
            self._end_message(encoder)
        if data:
            self._stream.write(data)
        if self.obstacles & BUFFER_FULL:
            self._pushed_bytes += len(data)
        self._check_waiting(encoder)

    def _check_waiting(self, encoder: MessageEncoder | None) -> None:
        """Much of it has time; more than is allowed at all has none."""
        waiting = self._pushed_waiting() + (encoder.waiting_bytes if encoder is not None else 0)
        context = self._registry.context
        if waiting > context.settings.ws_push_bytes_max:
            self._connection.too_slow()
        elif self._pushed_bytes > PUSHED_TOLERATED_BYTES:
            context.slow.watch(self._stream, context.now, self._too_slow)

    def _pushed_waiting(self) -> int:
        """At most so much of what groups and third parties sent has not left for the kernel."""
        return min(self._pushed_bytes, self._stream.get_write_buffer_size()) if self._pushed_bytes else 0

    def _too_slow(self) -> None:
        """The client has not kept up; no matter if little waits for it."""
        if self._pushed_waiting() > PUSHED_TOLERATED_BYTES:
            self._connection.too_slow()
