"""Writer of messages to a WebSocket's client: those of the application, and those of groups and third parties.

* Credit bounds the application's messages. It is returned while the stream's buffer is below its high-water mark.
* Third parties cannot wait for 50 000 clients. Their messages to a client that does not read are bounded here, in bytes and in time;
  beyond either bound the socket is closed. Messages of the application do not count.

Nearly every message is one frame, written at once. For a group, all sockets write the same bytes. P1, P5.
"""

from __future__ import annotations

from typing import Final, Protocol

from channel_layer.protocol.events import Event
from interface_server.connections.interfaces import Upstream
from interface_server.groups.interfaces import PushedMessage
from interface_server.groups.push_backlog import PushBacklog
from interface_server.transport.byte_stream import ByteStream
from interface_server.websocket.deflate import Deflate
from interface_server.websocket.frames import message_frame
from interface_server.websocket.message_encoder import MessageEncoder
from interface_server.websocket.registry import WebSocketRegistry

#: Raised while a frame is built of an invalid event, before anything is written.
_NO_MESSAGE: Final = (TypeError, ValueError, AttributeError)

#: Reasons why a whole frame may not be written at once, as bits. BUFFER_FULL: the stream's buffer is above its mark. ENCODING:
#: messages are compressed, or one is being sent in parts. CLOSED_AS_SLOW: no time is granted beyond that for a close.
NOT_OPEN: Final = 1
BUFFER_FULL: Final = 2
ENCODING: Final = 4
CLOSED_AS_SLOW: Final = 8


class MessageSender(Protocol):
    """The connection, as a writer uses it."""

    #: Receives the credit. None when the application's side has ended.
    upstream: Upstream | None

    def fail_application(self, what: str) -> None:
        """End the connection: the application sent an invalid event."""

    def push(self, pushed: PushedMessage) -> None:
        """Send `pushed` if the state allows it."""

    def too_slow(self) -> None:
        """Close: the client does not keep up with groups and third parties."""

    def stalled(self) -> None:
        """Close or abort: the client takes nothing at all."""


class MessageWriter:
    """Writes the messages of one connection to its stream."""

    __slots__ = ("_backlog", "_connection", "_encoder", "_registry", "_stream", "_undelivered_bytes", "obstacles")
    __deletable__ = ("_connection",)  # for mypyc, where a class is compiled

    def __init__(self, connection: MessageSender, stream: ByteStream, registry: WebSocketRegistry) -> None:
        self._connection = connection
        self._stream = stream
        self._registry = registry
        self._encoder: MessageEncoder | None = None  # while a message is incomplete; with compression always
        self._backlog: PushBacklog | None = None  # while messages of groups and third parties wait
        self._undelivered_bytes = 0  # sent by the application since the buffer was full
        self.obstacles = NOT_OPEN  #: why a whole frame may not be written at once, as bits

    def start(self, deflate: Deflate | None) -> None:
        """Allow messages: the handshake is accepted."""
        self.obstacles &= ~NOT_OPEN
        if deflate is not None:
            self._encoder = MessageEncoder(deflate)
            self.obstacles |= ENCODING

    def stop(self) -> None:
        """Allow no more messages: the close frame is written, or never will be."""
        self.obstacles |= NOT_OPEN
        self._encoder = None

    def detach(self) -> None:
        """Break the reference cycles with the connection, so that all are freed at once."""
        del self._connection
        self._backlog = None

    @property
    def mid_message(self) -> bool:
        """True while a message of the application is incomplete."""
        return self._encoder is not None and self._encoder.inside_message

    def send(self, event: Event) -> None:
        """Send one `websocket.send` of the application: a message, or with `more_body` a part of one."""
        try:
            data = message_frame(event) if not self.obstacles and "more_body" not in event else self._encode(event)
        except _NO_MESSAGE as error:
            self._connection.fail_application(f"websocket.send cannot be sent: {error!r}")
            return
        self._stream.write(data)
        if self._encoder is not None and not self._encoder.inside_message:
            self._end_message(self._encoder)

    def push(self, pushed: PushedMessage) -> None:
        """Send a message of a group or a third party."""
        try:
            self._push(pushed)
        except _NO_MESSAGE:
            self._registry.context.counters["dropped.push_invalid"] += 1

    def delivered(self, upstream: Upstream, size_bytes: int) -> None:
        """Return credit for `size_bytes` of the application's events, now or when the buffer has drained."""
        if self.obstacles & BUFFER_FULL:
            self._undelivered_bytes += size_bytes
        else:
            upstream.delivered(size_bytes)

    def write_control(self, data: bytes) -> bool:
        """Write a ping or a pong. Returns False for a client that does not read: one that only pings would fill the buffer."""
        if self.obstacles & BUFFER_FULL:
            return False
        self._stream.write(data)
        return True

    def buffer_full(self) -> None:
        """Return no credit for now: the stream's buffer is above its mark."""
        self.obstacles |= BUFFER_FULL
        context = self._registry.context
        context.write_timeouts.watch(self._stream, context.now, self._connection.stalled)

    def buffer_drained(self) -> None:
        """Return the credit: the client has taken most of the buffer."""
        self.obstacles &= ~BUFFER_FULL
        if self._backlog is not None:
            self._backlog.end()
            self._backlog = None
        self._registry.context.write_timeouts.forget(self._stream)
        size_bytes, self._undelivered_bytes = self._undelivered_bytes, 0
        upstream = self._connection.upstream
        if size_bytes and upstream is not None:
            upstream.delivered(size_bytes)

    def close_as_slow(self, why: str) -> None:
        """Log that the client does not take what it is sent; the connection closes it."""
        waiting_bytes = self._stream.get_write_buffer_size() + (self._encoder.waiting_bytes if self._encoder else 0)
        self._registry.log_slow(self._connection.upstream, why, waiting_bytes)
        self.obstacles |= CLOSED_AS_SLOW

    @property
    def paused(self) -> bool:
        """True while the stream's buffer is above its mark."""
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
        """Send what had to wait for the end of a message."""
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
        held_bytes = encoder.waiting_bytes if encoder is not None else 0
        if held_bytes or self.obstacles & BUFFER_FULL:
            self._count(len(data), held_bytes)

    def _count(self, size_bytes: int, held_bytes: int) -> None:
        """Count what waits for the client, which is closed if that is too much."""
        if self._backlog is None:
            self._backlog = PushBacklog(self._registry.context, self._stream, self._connection.too_slow)
        self._backlog.add(size_bytes, held_bytes)
