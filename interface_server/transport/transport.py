"""Transport of one client's socket: Twisted's interface, and a `ByteStream`, over a transport of uvloop.

Twisted's own transports queue each write and change epoll twice for it. uvloop writes to the kernel at once.

* uvloop calls `dataReceived` of the protocol directly, without a method of this class between them.
* Beside the methods of Twisted's interface, a protocol may have `pause_writing` and `resume_writing` (the write buffer is above 64 KiB,
  or below a quarter of that) and `eof_received` (the peer will send nothing more), with the meaning that asyncio gives them.
"""

from __future__ import annotations

import array
import asyncio
import fcntl
import select
import socket
import struct
import termios
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Factory, connectionDone
from twisted.python.failure import Failure

from interface_server.transport.addresses import Address, address_of
from interface_server.transport.dual_stack import unmapped
from interface_server.transport.keepalive import ERRNOS
from interface_server.transport.socket_options import prepare

HIGH_WATER_BYTES: Final = 64 * 1024
SIOCOUTQ: Final = getattr(termios, "TIOCOUTQ", None)
#: Both directions are closed, or the connection was reset.
GONE: Final = select.POLLHUP | select.POLLERR
#: The peer will send nothing more; without POLLRDHUP (not Linux) only a reset is seen while reading is paused.
HUNG_UP: Final = getattr(select, "POLLRDHUP", 0) | GONE


class ByteMeter(Protocol):
    """Counts the bytes of all clients, where that is wanted."""

    received_bytes: int  #: each transport adds to it

    def opened(self, transport: Transport) -> None:
        """A transport begins to write. What it has written so far is its `written_bytes`."""

    def closed(self, transport: Transport) -> None:
        """It will write no more."""


def admit_all(_descriptor: int) -> bool:
    """Admit every connection."""
    return True


class Transport:
    """One connection: asyncio's protocol for uvloop, Twisted's transport for our protocol.

    It inherits from neither, nor is it declared as an implementation: both are called by their methods, and a compiled class has no base
    that is not compiled.
    """

    __slots__ = ("_admits", "_factory", "_meter", "_producer", "_written", "data_received", "protocol", "uv")

    disconnecting = False  # read by Twisted in places; `is_closing` is exact

    def __init__(
        self, factory: Factory, admits: Callable[[int], bool] = admit_all, meter: ByteMeter | None = None
    ) -> None:
        """admits: decides by the descriptor whether a connection may stay."""
        self._admits = admits
        self._meter = meter
        self._factory: Factory | None = factory
        self._producer: Any = None
        self._written = 0
        self.protocol: Any = None
        self.uv: Any = None
        self.data_received: Any = _drop_data

    # Calls of uvloop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.uv = transport
        self.uv.set_write_buffer_limits(HIGH_WATER_BYTES)
        sock = self.uv.get_extra_info("socket")
        if not self._admits(sock.fileno()):
            self.uv.abort()
            return
        prepare(sock)
        factory, self._factory = self._factory, None
        assert factory is not None  # a connection is made once
        protocol: Any = factory.buildProtocol(self.getPeer())  # type: ignore[arg-type]  # zope's interfaces are no types
        if protocol is None:
            self.uv.abort()
            return
        if self._meter is not None:
            self._meter.opened(self)
        self.switch_protocol(protocol)
        self.protocol.makeConnection(self)

    def connection_lost(self, exc: Exception | None) -> None:
        protocol, self.protocol = self.protocol, None
        self._producer = None
        self.data_received = _drop_data
        if self._meter is not None:
            self._meter.closed(self)
        if protocol is not None:
            protocol.connectionLost(connectionDone if exc is None else _lost(exc))

    def eof_received(self) -> bool | None:
        eof_received = getattr(self.protocol, "eof_received", None)
        return bool(eof_received()) if eof_received is not None else False

    def pause_writing(self) -> None:
        if self._producer is not None:
            self._producer.pauseProducing()
        else:
            _notify(self.protocol, "pause_writing")

    def resume_writing(self) -> None:
        if self._producer is not None:
            self._producer.resumeProducing()
        else:
            _notify(self.protocol, "resume_writing")

    # Calls of our protocols.

    def switch_protocol(self, protocol: Any) -> None:
        """Give bytes and events to `protocol` from now on. The caller calls its `makeConnection`, if it has one."""
        self.protocol = protocol
        self.data_received = protocol.dataReceived if self._meter is None else self._receive_measured
        self.uv.set_protocol(self)  # uvloop keeps the bound method; this makes it look the method up again

    def _receive_measured(self, data: bytes) -> None:
        if self._meter is not None:
            self._meter.received_bytes += len(data)
        self.protocol.dataReceived(data)

    def write(self, data: bytes) -> None:
        self._written += len(data)
        self.uv.write(data)

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def write_pieces(self, pieces: list[bytes], size_bytes: int) -> None:
        """Write all of `pieces`, which have `size_bytes` together, without joining them."""
        self._written += size_bytes
        self.uv.writelines(pieces)

    def write_eof(self) -> None:
        """Close our direction when all is written; reading goes on."""
        if not self.uv.is_closing():
            self.uv.write_eof()

    def close(self) -> None:
        """Close when all is written. The peer gets a reset if bytes of it are unread."""
        self.uv.close()

    def abort(self) -> None:
        """Close now, and drop what is not written."""
        self.uv.abort()

    def reset(self, after_writing: bool = False) -> None:
        """Close so that the peer cannot take it for an orderly end: by RST rather than FIN, where they exist.

        after_writing: our buffer goes to the kernel first, but what waits there may still be lost.
        """
        if not self.uv.is_closing() and self.uv.get_extra_info("socket").family != socket.AF_UNIX:
            self.uv.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if after_writing:
            self.uv.close()
        else:
            self.uv.abort()

    def pause_reading(self) -> None:
        if not self.uv.is_closing():
            self.uv.pause_reading()

    def resume_reading(self) -> None:
        if not self.uv.is_closing():
            self.uv.resume_reading()

    # Twisted's names of some methods.

    def abortConnection(self) -> None:
        self.abort()

    def pauseProducing(self) -> None:
        self.pause_reading()

    def resumeProducing(self) -> None:
        self.resume_reading()

    def loseConnection(self, *_: object) -> None:
        self.close()

    def stopProducing(self) -> None:
        self.close()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Pause and resume `producer` instead of the protocol. Pull producers are not supported."""
        if self._producer is not None or not streaming:
            raise RuntimeError("one push producer at a time can be registered here")
        self._producer = producer

    def unregisterProducer(self) -> None:
        self._producer = None

    def getPeer(self) -> Address:
        return address_of(self.uv.get_extra_info("peername"))

    def getHost(self) -> Address:
        return address_of(self.uv.get_extra_info("sockname"))

    def peer(self) -> tuple[str, int] | None:
        """Host and port of the peer; None on a unix socket."""
        name = self.uv.get_extra_info("peername")
        return (unmapped(name[0]), name[1]) if isinstance(name, tuple) else None

    def host(self) -> tuple[str, int | None] | None:
        """Host and port of our end; path and None on a unix socket."""
        name = self.uv.get_extra_info("sockname")
        return (unmapped(name[0]), name[1]) if isinstance(name, tuple) else ((name, None) if name else None)

    def is_closing(self) -> bool:
        return bool(self.uv.is_closing())

    def get_write_buffer_size(self) -> int:
        return int(self.uv.get_write_buffer_size())

    def unsent_bytes(self) -> int:
        """Bytes that the peer has not acknowledged, in our buffer and in the kernel's."""
        waiting = self.get_write_buffer_size()
        if self.uv.is_closing() or SIOCOUTQ is None:
            return waiting
        queued = array.array("i", [0])
        try:
            fcntl.ioctl(self.uv.get_extra_info("socket").fileno(), SIOCOUTQ, queued)
        except OSError:
            return waiting
        return waiting + queued[0]

    @property
    def written_bytes(self) -> int:
        """Bytes that were written since the connection began."""
        return self._written

    def acknowledged_bytes(self) -> int:
        return self._written - self.unsent_bytes()

    def has_unread(self) -> bool:
        """True if the kernel has bytes, or the end of the peer's direction, that are not read yet."""
        return not self.uv.is_closing() and self._polls(select.POLLIN)

    def has_hung_up(self) -> bool:
        """True if the kernel knows that the peer has closed or reset. Needed while reading is paused."""
        return self.uv.is_closing() or self._polls(HUNG_UP)

    def is_gone(self) -> bool:
        """True if the peer has certainly left. On TCP only a reset shows it, on a unix socket its close as well."""
        return self.uv.is_closing() or self._polls(GONE)

    def _polls(self, what: int) -> bool:
        poll = select.poll()
        poll.register(self.uv.get_extra_info("socket").fileno(), what)
        return bool(poll.poll(0))


class PeerTimedOut(ConnectionLost):
    """The kernel gave the connection up, since the peer no longer answers."""


def _lost(exc: Exception) -> Failure:
    kind = PeerTimedOut if isinstance(exc, OSError) and exc.errno in ERRNOS else ConnectionLost
    return Failure(kind(str(exc)))  # type: ignore[no-untyped-call]  # Twisted's is not typed


def _drop_data(data: bytes) -> None:
    """Drop bytes that arrive while a connection has no protocol."""


def _notify(protocol: object, method: str) -> None:
    callback = getattr(protocol, method, None)
    if callback is not None:
        callback()
