"""What a WebSocket needs of the stream that it runs over: a socket (transport.py), or a stream within another connection (RFC 8441).

Peer and host are not asked for: they came with the request that became a WebSocket.
"""

from __future__ import annotations

from typing import Protocol

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from interface_server.transport.slow_consumers import Watched


class ByteReceiver(Protocol):
    """Gets the bytes of one stream, and its news."""

    def dataReceived(self, data: bytes) -> None: ...

    def pause_writing(self) -> None:
        """More waits to be written than the stream's high-water mark."""

    def resume_writing(self) -> None:
        """Most of it has left."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The last call. `reason.value` is a PeerTimedOut where nothing is heard of the peer any more."""


class ByteStream(Watched, Protocol):
    """Bytes in both directions, in order. The watches of slow clients and of write timeouts ask it for its numbers (`Watched`)."""

    def switch_protocol(self, protocol: ByteReceiver) -> None:
        """From now on `protocol` gets the bytes and the news."""

    def write(self, data: bytes) -> None:
        """Never blocks. After `close` and `abort` it does nothing."""

    def write_eof(self) -> None:
        """Nothing more will be written; reading goes on."""

    def close(self) -> None:
        """Close when all is written. `connectionLost` follows."""

    def abort(self) -> None:
        """Close now, and drop what is not written. `connectionLost` follows."""

    def pause_reading(self) -> None:
        """No `dataReceived` from now on; what the peer sends waits with it. Harmless when it is paused."""

    def resume_reading(self) -> None:
        """The opposite. Harmless when it is not paused, or closing."""

    def is_closing(self) -> bool:
        """True from `close` or `abort` on, and while `connectionLost` is called."""

    def hung_up(self) -> bool:
        """True if the peer has closed, although the stream is not read."""

    def get_write_buffer_size(self) -> int:
        """Bytes that wait here to be written."""
