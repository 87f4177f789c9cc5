"""Interface of a stream of bytes under a WebSocket: a socket (transport.py), or a stream within another connection (RFC 8441).

It has no addresses: peer and host are in the scope of the request that became a WebSocket.
"""

from __future__ import annotations

from typing import Protocol

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from interface_server.transport.slow_consumers import Watched


class ByteReceiver(Protocol):
    """Receives the bytes and events of one stream."""

    def dataReceived(self, data: bytes) -> None: ...

    def pause_writing(self) -> None:
        """The write buffer is above its high-water mark."""

    def resume_writing(self) -> None:
        """The write buffer is below its low-water mark."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The last call. `reason.value` is a PeerTimedOut if the peer no longer answers."""


class ByteStream(Watched, Protocol):
    """Bytes in both directions, in order. Its numbers (`Watched`) are for SlowConsumers and WriteTimeouts."""

    def switch_protocol(self, protocol: ByteReceiver) -> None:
        """Give bytes and events to `protocol` from now on."""

    def write(self, data: bytes) -> None:
        """Write `data` without blocking; after `close` or `abort` do nothing."""

    def write_eof(self) -> None:
        """Close our direction when all is written; reading goes on."""

    def close(self) -> None:
        """Close when all is written. `connectionLost` follows."""

    def abort(self) -> None:
        """Close now, and drop what is not written. `connectionLost` follows."""

    def pause_reading(self) -> None:
        """Call `dataReceived` no more; the peer has to wait. Harmless if reading is paused."""

    def resume_reading(self) -> None:
        """Read on. Harmless if reading is not paused, or the stream is closing."""

    def is_closing(self) -> bool:
        """True once `close` or `abort` was called, and while `connectionLost` is."""

    def has_hung_up(self) -> bool:
        """True if the peer has closed, also while reading is paused."""

    def get_write_buffer_size(self) -> int:
        """Bytes that wait to be written."""
