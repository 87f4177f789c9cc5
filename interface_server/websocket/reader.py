"""Frames of a WebSocket's client, as events for the application.

Bytes go through a borrowed parser (`frame_parser.py`). Held here, and bounded by no longer reading the stream, is what
came before the handshake was answered, and what was read already when the application's window ended. P1, P5, P12.
"""

from __future__ import annotations

from typing import Protocol

from channel_layer.protocol.close_codes import INVALID_PAYLOAD
from channel_layer.protocol.events import EVENT_OVERHEAD_BYTES, Event
from interface_server.connections.interfaces import Upstream
from interface_server.transport.byte_stream import ByteStream
from interface_server.websocket.frame_parser import Deflate, FrameParser
from interface_server.websocket.frames import BadFrame
from interface_server.websocket.registry import WebSocketRegistry

#: What a client may send before it is accepted: above it the stream is not read.
HELD_SIZE_BYTES_MAX = 65_536
#: Bytes per step of the parser at a frame's boundary: it copies what is left after each frame, so that a read full of tiny
#: frames would cost the square of its size. A longer read is parsed only as far as all sockets together have time (ReadBudget).
PARSE_SIZE_BYTES = 1024

#: Why the stream is not read, as bits: the application's window is used up, or too much came before the accept; the time of all
#: long reads is used up until the loop's next turn.
NO_CREDIT, YIELDED = 1, 2


class FrameReceiver(Protocol):
    """The connection of a reader."""

    #: Gets the messages; None once the application's side is over: messages are dropped then.
    upstream: Upstream | None

    @property
    def writing_paused(self) -> bool:
        """True while the client does not take what it is sent."""

    def ping(self) -> bool:
        """Write a ping. False: the client does not read, so that it would not answer either."""

    def pong_overdue(self) -> None:
        """Nothing has come since a ping."""

    def gone(self) -> None:
        """The client has hung up while its stream was not read."""

    def ping_received(self, payload: bytes) -> None: ...
    def close_received(self, payload: bytes) -> None:
        """Raises BadFrame."""

    def protocol_failed(self, bad: BadFrame) -> None:
        """The client broke the rules; the reader parses nothing more once it is told to `discard`."""


class FrameReader:
    """Reads one connection's stream, and is the listener of its parser."""

    __slots__ = ("_awaiting_pong", "_connection", "_deflate", "_held", "_parser", "_registry", "_stream", "paused")

    def __init__(self, connection: FrameReceiver, stream: ByteStream, registry: WebSocketRegistry) -> None:
        self._connection = connection
        self._stream = stream
        self._registry = registry
        self._deflate: Deflate | None = None
        self._parser: FrameParser | None = None  # while the client is inside of a message
        self._held = b""  # read, and not yet parsed
        self._awaiting_pong = False
        self.paused = 0  #: why the stream is not read, as bits; 0: it is

    def hold(self, data: bytes) -> None:
        """Keep what came before the handshake was answered."""
        self._held += data
        if len(self._held) > HELD_SIZE_BYTES_MAX:
            self._pause(NO_CREDIT)

    def start(self, deflate: Deflate | None) -> None:
        """The handshake is accepted: parse from now on, beginning with what was held."""
        self._deflate = deflate
        self._registry.timeouts.start_pings(self, self._registry.now())
        self.resume()

    def receive_data(self, data: bytes) -> None:
        """Parse a read, or hold it until the application has room."""
        if self._awaiting_pong:  # any byte is a sign of life
            self._awaiting_pong = False
            self._registry.timeouts.ponging.disarm(self)
        if self.paused:
            self._held += data
        else:
            self._parse(data)

    def resume(self) -> None:
        """Parse what was held, and read the stream again if that did not use up the window."""
        paused, self.paused = self.paused, 0
        held, self._held = self._held, b""
        if held:
            self._parse(held)
        if paused and not self.paused:
            self._registry.unread.discard(self)
            self._stream.resume_reading()

    def stop_pings(self) -> None:
        """Only the end is awaited: the client may be silent."""
        self._awaiting_pong = False
        self._registry.timeouts.stop_pings(self)

    def discard(self) -> None:
        """Nothing that the client sends has a meaning any more: drop what is held, and read the stream on for its end alone."""
        self._held = b""
        self._parser = None
        self.resume()

    def finish(self) -> None:
        """The stream is gone: what was read before its end still counts; it is one read at most."""
        while self._held:
            self.resume()

    def detach(self) -> None:
        """Drop everything, the connection too: this cycle of references would wait for the garbage collector."""
        self._registry.unread.discard(self)
        self._held = b""
        self._parser = None
        self.paused = 0
        del self._connection

    def _parse(self, data: bytes) -> None:
        parser = self._parser
        if parser is None:
            parser = self._parser = self._registry.parsers.acquire(self, self._deflate)
        try:
            if len(data) <= PARSE_SIZE_BYTES:
                parser.receive_data(data)
            else:
                self._parse_slowly(parser, data)
        except BadFrame as bad:
            self._parser = None
            self._connection.protocol_failed(bad)
            return
        if parser.between_messages():
            self._parser = None
            self._registry.parsers.release(parser)

    def _parse_slowly(self, parser: FrameParser, data: bytes) -> None:
        """A long read in small parts, and no further than the window and the time of this turn go."""
        position = 0
        while position < len(data):
            if not (self.paused or self._stream.is_closing() or self._registry.read_budget.has_time()):
                self._yield_to_loop()
            if self.paused:
                self._held = data[position:]
                return
            step = max(PARSE_SIZE_BYTES, parser.wanted_size_bytes())
            parser.receive_data(data[position : position + step])
            position += step

    def _pause(self, why: int) -> None:
        if not self.paused:
            self._registry.unread.add(self)
            self._stream.pause_reading()
        self.paused |= why

    def _yield_to_loop(self) -> None:
        self._pause(YIELDED)
        self._registry.read_budget.wait(self._next_turn)

    def _next_turn(self) -> None:
        if self.paused & YIELDED:
            self.resume()

    # What the timeouts and the registry call.

    def ping_due(self) -> None:
        timeouts, now = self._registry.timeouts, self._registry.now()
        if self.paused & NO_CREDIT:
            # From a client that is not read comes neither a pong nor its end. The kernel knows of the latter.
            if self._stream.hung_up():
                self._connection.gone()
                return
        elif not self._awaiting_pong and self._connection.ping() and timeouts.ponging.delay_s > 0:
            self._awaiting_pong = True
            timeouts.ponging.arm(self, now)
        timeouts.pinging.arm(self, now)

    def pong_overdue(self) -> None:
        if self.paused or self._connection.writing_paused:
            self._registry.timeouts.ponging.arm(self, self._registry.now())
        else:
            self._connection.pong_overdue()

    def check_unread(self) -> None:
        """An application must not be started for a client that has left; one that runs may still receive what it sent."""
        upstream = self._connection.upstream
        if upstream is not None and not upstream.owned and self._stream.hung_up():
            self._connection.gone()

    # What the parser calls.

    def message_received(self, payload: bytes, binary: bool) -> None:
        if self._deflate is not None:
            self._deflate.drop_decompressor()
        upstream = self._connection.upstream
        if upstream is None:  # closing
            return
        event: Event
        if binary:
            event = {"type": "websocket.receive", "bytes": payload}
        else:
            try:
                event = {"type": "websocket.receive", "text": payload.decode()}
            except UnicodeDecodeError:
                raise BadFrame(INVALID_PAYLOAD, "text is not UTF-8") from None
        if not upstream.forward(event, len(payload) + EVENT_OVERHEAD_BYTES):
            self._pause(NO_CREDIT)

    def ping_received(self, payload: bytes) -> None:
        self._connection.ping_received(payload)

    def pong_received(self) -> None:
        """Any byte is a sign of life, and the connection has noted it."""

    def close_received(self, payload: bytes) -> None:
        self._connection.close_received(payload)
