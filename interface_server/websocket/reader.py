"""What a WebSocket's client says, as events for the application.

Bytes go through a borrowed parser (`frame_parser.py`). Held here, and bounded by no longer reading the socket, is what
came before the handshake was answered, and what was read already when the application's window ended. P1, P5, P12.
"""

from __future__ import annotations

from channel_layer.protocol.close_codes import INVALID_PAYLOAD
from channel_layer.protocol.events import EVENT_OVERHEAD_BYTES, Event
from interface_server.websocket.connection_base import Socket
from interface_server.websocket.frame_parser import Framing
from interface_server.websocket.frames import FIN, PONG, close_frame, frame
from interface_server.websocket.state import BadFrame, State, heard_close

#: What a client may send before it is accepted: above it the socket is not read.
HELD_SIZE_BYTES_MAX = 65_536
#: Bytes per step of the parser at a frame's boundary: it copies what is left after each frame, so that a read full of tiny
#: frames would cost the square of its size. A longer read is parsed only as far as all sockets together have time (ReadingTurns).
FEED_SIZE_BYTES = 1024


class Reading(Socket):
    """The half that listens: of the transport the protocol, of the parser the listener."""

    __slots__ = ()

    def dataReceived(self, data: bytes) -> None:
        state = self._state
        if state is State.OPEN or state is State.CLOSING:
            if self._pinged:  # any byte is a sign of life
                self._pinged = False
                self._shared.watch.ponging.disarm(self)  # type: ignore[arg-type]  # a WebSocket
            if self._reading_paused:
                self._held += data
            else:
                self._parse(data)
        elif state is State.CONNECTING:
            self._held += data
            if len(self._held) > HELD_SIZE_BYTES_MAX:
                self._pause_reading()

    def _parse(self, data: bytes) -> None:
        framing = self._framing
        if framing is None:
            framing = self._framing = self._shared.rack.borrow(self, self._deflate)
        try:
            if len(data) <= FEED_SIZE_BYTES:
                framing.feed(data)
            else:
                self._feed_slowly(framing, data)
        except BadFrame as bad:
            self._fail(bad.code, bad.reason)
            return
        if framing.between_messages():
            self._framing = None
            self._shared.rack.give_back(framing)

    def _feed_slowly(self, framing: Framing, data: bytes) -> None:
        """A long read in small parts, and no further than the window and the time of this turn go."""
        position = 0
        while position < len(data):
            if not (self._reading_paused or self._transport.is_closing() or self._shared.turns.has_time()):
                self._breathe()
            if self._reading_paused:
                self._held = data[position:]
                return
            step = max(FEED_SIZE_BYTES, framing.wanted_size_bytes())
            framing.feed(data[position : position + step])
            position += step

    def heard_message(self, payload: bytes, binary: bool) -> None:
        if self._deflate is not None:
            self._deflate._decompressor = None  # its window is of no use for the next message, and large
        upstream = self._upstream
        if upstream is None:  # closing: what comes late is nobody's
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
            self._pause_reading()

    def heard_ping(self, payload: bytes) -> None:
        # Who pings and never reads would fill our buffer: while writing is paused there is no answer.
        if self._state is State.OPEN and not self._writing_paused:
            self._transport.write(frame(FIN | PONG, payload))

    def heard_pong(self) -> None:
        """`dataReceived` has taken note."""

    def heard_close_frame(self, payload: bytes) -> None:
        if self._state is State.OPEN:
            answer, code, reason = heard_close(payload)
            self._transport.write(close_frame(answer))
            self._hang_up()
            self._leave(code, reason)
        elif self._state is State.CLOSING:
            self._hang_up()

    def _hang_up(self) -> None:
        """Both have said their close: the server is the first to hang up. RFC 6455, section 7.1.1."""
        self._say_last(State.CLOSED)
        self._transport.loseConnection()

    def _pause_reading(self) -> None:
        if not self._reading_paused:
            self._reading_paused = True
            self._shared.unread.add(self)
            self._transport.pauseProducing()

    def _breathe(self) -> None:
        self._pause_reading()
        self._breathing = True
        self._shared.turns.wait(self._breathed)

    def _breathed(self) -> None:
        if self._breathing:
            self._read_on()

    def _read_on(self) -> None:
        """Parse what was held, and read the socket again if that did not use up the window."""
        paused, self._reading_paused = self._reading_paused, False
        self._breathing = False
        held, self._held = self._held, b""
        if held and (self._state is State.OPEN or self._state is State.CLOSING):
            self._parse(held)
        if paused and not self._reading_paused:
            self._shared.unread.discard(self)
            self._transport.resumeProducing()
