"""Reader of a WebSocket's stream: turns frames into events for the application, and pings a silent client.

A read that is one short message is taken as it is (`whole_message`); all others pass through a parser that is acquired from a pool
(frame_parser.py). The reader holds bytes that came before the handshake was answered, and bytes that were read before the application's
window was used up. Pausing the stream bounds both. P1, P5, P12.
"""

from __future__ import annotations

from typing import Final, Protocol

from channel_layer.protocol.close_codes import INVALID_PAYLOAD
from channel_layer.protocol.events import EVENT_OVERHEAD_BYTES, Event
from interface_server.connections.interfaces import Upstream
from interface_server.transport.byte_stream import ByteStream
from interface_server.websocket.deflate import Deflate
from interface_server.websocket.frame_parser import FrameParser
from interface_server.websocket.frames import BadFrame, whole_message
from interface_server.websocket.registry import WebSocketRegistry

#: Bytes that a client may send before it is accepted. Above this the stream is paused.
HELD_SIZE_BYTES_MAX: Final = 65_536
#: Bytes per step of the parser at a frame's boundary. The parser copies the rest after each frame, so a read full of tiny frames
#: would cost the square of its size. Longer reads of all sockets share one time per turn of the loop (ReadBudget).
PARSE_SIZE_BYTES: Final = 1024

#: Reasons to pause the stream, as bits. NO_CREDIT: the application's window is used up, or too much came before the accept.
#: YIELDED: the time of all long reads is used up until the loop's next turn.
NO_CREDIT: Final = 1
YIELDED: Final = 2


class FrameReceiver(Protocol):
    """The connection, as a reader uses it."""

    #: Receives the messages. None when the application's side has ended: messages are then dropped.
    upstream: Upstream | None

    @property
    def writing_paused(self) -> bool:
        """True while the client does not take what it is sent."""

    def ping(self) -> bool:
        """Write a ping. Returns False if the client does not read, since then it would not answer either."""

    def pong_overdue(self) -> None:
        """Close: no byte has come since a ping."""

    def on_hang_up(self) -> None:
        """Abort: the client has hung up while its stream was paused."""

    def ping_received(self, payload: bytes) -> None: ...
    def close_received(self, payload: bytes) -> None:
        """Raises BadFrame."""

    def protocol_failed(self, bad: BadFrame) -> None:
        """Fail the connection: the client broke the protocol. The reader parses nothing after `discard`."""


class FrameReader:
    """Reads the stream of one connection; the listener of its parser."""

    __slots__ = ("_awaiting_pong", "_connection", "_deflate", "_held", "_parser", "_registry", "_stream", "paused")
    __deletable__ = ("_connection",)  # for mypyc, where a class is compiled

    def __init__(self, connection: FrameReceiver, stream: ByteStream, registry: WebSocketRegistry) -> None:
        self._connection = connection
        self._stream = stream
        self._registry = registry
        self._deflate: Deflate | None = None
        self._parser: FrameParser | None = None  # while a message is incomplete
        self._held = b""  # read, but not parsed yet
        self._awaiting_pong = False
        self.paused = 0  #: reasons why the stream is paused, as bits

    def hold(self, data: bytes) -> None:
        """Hold bytes that came before the handshake was answered."""
        self._held += data
        if len(self._held) > HELD_SIZE_BYTES_MAX:
            self._pause(NO_CREDIT)

    def start(self, deflate: Deflate | None) -> None:
        """Begin to parse, with what was held: the handshake is accepted."""
        self._deflate = deflate
        self._registry.timeouts.start_pings(self, self._registry.now())
        self.resume()

    def receive_data(self, data: bytes) -> None:
        """Parse `data`, or hold it while the stream is paused."""
        if self._awaiting_pong:  # any byte is a sign of life
            self._awaiting_pong = False
            self._registry.timeouts.ponging.disarm(self)
        if self.paused:
            self._held += data
        else:
            self._parse(data)

    def resume(self) -> None:
        """Parse what was held, and resume the stream unless that used up the window again."""
        paused, self.paused = self.paused, 0
        held, self._held = self._held, b""
        if held:
            self._parse(held)
        if paused and not self.paused:
            self._registry.unread.discard(self)
            self._stream.resume_reading()

    def stop_pings(self) -> None:
        """Expect no more signs of life: the connection only waits for its end."""
        self._awaiting_pong = False
        self._registry.timeouts.stop_pings(self)

    def discard(self) -> None:
        """Drop what is held, and read on only to notice the end: what the client sends has no meaning now."""
        self._held = b""
        self._parser = None
        self.resume()

    def finish(self) -> None:
        """Parse what was read before the stream ended; it is at most one read."""
        while self._held:
            self.resume()

    def detach(self) -> None:
        """Drop everything, and break the reference cycle with the connection, so that both are freed at once."""
        self._registry.unread.discard(self)
        self._held = b""
        self._parser = None
        self.paused = 0
        del self._connection

    def _parse(self, data: bytes) -> None:
        parser = self._parser
        try:
            if parser is None:
                if len(data) <= PARSE_SIZE_BYTES:
                    message = whole_message(data, self._registry.parsers.message_size_bytes_max)
                    if message is not None:
                        self.message_received(*message)
                        return
                parser = self._parser = self._registry.parsers.acquire(self, self._deflate)
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
        """Parse a long read in small parts, as far as the window and the time of this turn allow."""
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

    # Calls of the timeouts and of the registry.

    def ping_due(self) -> None:
        timeouts, now = self._registry.timeouts, self._registry.now()
        if self.paused & NO_CREDIT:
            # While the stream is paused neither a pong nor the end of the client can arrive. The stream knows of the end.
            if self._stream.has_hung_up():
                self._connection.on_hang_up()
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
        """End the connection if the client has left and no worker owns it: no application may start (P3).

        An application that runs may still receive what the client sent.
        """
        upstream = self._connection.upstream
        if upstream is not None and not upstream.owned and self._stream.has_hung_up():
            self._connection.on_hang_up()

    # Calls of the parser.

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
        """Does nothing: `receive_data` takes any byte as a sign of life."""

    def close_received(self, payload: bytes) -> None:
        self._connection.close_received(payload)
