"""A byte stream that is no socket, as a stream within another connection would be: what is written waits until its peer takes it."""

from __future__ import annotations

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure

from interface_server.transport.byte_stream import ByteReceiver

HIGH_WATER_BYTES = 64 * 1024


class MemoryStream:
    """A `ByteStream` whose other end is the test: `arrive`, `take`, `leave`."""

    def __init__(self) -> None:
        self.written_bytes = 0
        self.eof = False
        self.paused = False  #: is it not read at present?
        self.lost = False
        self.left = False
        self._receiver: ByteReceiver | None = None
        self._waiting = b""
        self._unread = b""
        self._full = False
        self._closing = False

    # The peer's end.

    def arrive(self, data: bytes) -> None:
        """The peer has sent `data`; it waits while the stream is not read."""
        self._unread += data
        self._deliver()

    def take(self, size_bytes: int | None = None) -> bytes:
        """What the peer takes of what was written to it, in order; all of it where no size is given."""
        end = len(self._waiting) if size_bytes is None else size_bytes
        data, self._waiting = self._waiting[:end], self._waiting[end:]
        if self._full and len(self._waiting) < HIGH_WATER_BYTES // 4 and self._receiver is not None:
            self._full = False
            self._receiver.resume_writing()
        if self._closing and not self._waiting:
            self._end(ConnectionDone())
        return data

    def leave(self) -> None:
        """The peer has gone. While the stream is not read, nothing but `has_hung_up` knows."""
        self.left = True
        self._deliver()

    # The `ByteStream`.

    def switch_protocol(self, protocol: ByteReceiver) -> None:
        self._receiver = protocol

    def write(self, data: bytes) -> None:
        if self._closing:
            return
        self.written_bytes += len(data)
        self._waiting += data
        if not self._full and len(self._waiting) > HIGH_WATER_BYTES and self._receiver is not None:
            self._full = True
            self._receiver.pause_writing()

    def write_eof(self) -> None:
        self.eof = True

    def close(self) -> None:
        self._closing = True
        if not self._waiting:
            self._end(ConnectionDone())

    def abort(self) -> None:
        self._closing = True
        self._waiting = b""
        self._end(ConnectionLost())

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False
        self._deliver()

    def is_closing(self) -> bool:
        return self._closing

    def has_hung_up(self) -> bool:
        return self.left or self._closing

    def get_write_buffer_size(self) -> int:
        return len(self._waiting)

    def acknowledged_bytes(self) -> int:
        return self.written_bytes - len(self._waiting)

    def _deliver(self) -> None:
        while self._unread and not self.paused and self._receiver is not None and not self._closing:
            data, self._unread = self._unread, b""
            self._receiver.dataReceived(data)
        if self.left and not self._unread and not self.paused and not self._closing:
            self._closing = True
            self._end(ConnectionDone())

    def _end(self, why: Exception) -> None:
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            self.lost = True
            receiver.connectionLost(Failure(why))
