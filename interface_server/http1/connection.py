"""HTTP/1 on a client's socket: bytes in, `Backend.open` and events out, and back again.

parser.py makes requests of the bytes, the door takes them to a worker, encoder.py makes bytes of what comes
back; `request_reader.py` and `response_writer.py` keep the order of things on either side, and
`connection_base.py` knows the ends. What stands here is what the transport and the sweep say.

Deadlines are numbers, looked at by one sweep for all connections (registry.py). PROTOCOL.md, P1, P5, P12.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from interface_server.http.errors import RequestError
from interface_server.http.scope import Place
from interface_server.http1.connection_base import EXCHANGE, GONE, HALF_CLOSED, HEAD, LINGERING, TEXT, OnUpgrade
from interface_server.http1.parser import Intake
from interface_server.http1.pipeline import Turns
from interface_server.http1.registry import Http1Registry
from interface_server.http1.request_reader import Requests
from interface_server.http1.response_writer import Responses
from interface_server.transport.transport import PeerTimedOut

#: Parsed at once, but for the inside of a body. Requests take twenty times their bytes once they are parsed, and some are
#: answered on the spot: what one client has sent ahead shall neither fill our memory nor hold up everybody else.
FEED_SIZE_BYTES = 16 * 1024
#: How much older than one of now the deadline of a new connection may be. Deadlines are made of the last stroke of the sweep, each
#: second: so a connection is new for 1 to 2 s.
NEW_S = 1.5


class HttpProtocol(Requests, Responses, Protocol):  # type: ignore[misc]  # `transport` is narrower than Twisted's
    """One connection of a client that speaks HTTP/1. A `Client` for the pump, one exchange after another."""

    __slots__ = ()

    factory: Any  # Twisted's word for it; not used

    def __init__(self, registry: Http1Registry, on_upgrade: OnUpgrade) -> None:
        super().__init__(registry, on_upgrade)
        self._intake = Intake(self, self.context.settings)
        self._turns = Turns(self._free)

    # What the transport says.

    def connectionMade(self) -> None:
        context, transport = self.context, self.transport
        self._place = Place(transport.peer(), transport.host(), context.settings.root_path, context.trusted)
        self.registry.connections.add(self)
        self.deadline = context.idle_deadline

    def dataReceived(self, data: bytes) -> None:
        if self._phase is LINGERING or self._phase is GONE:
            return
        if len(data) <= FEED_SIZE_BYTES:
            self._feed(data, b"", 0)
        else:
            data = self._feed_in_parts(data)
        if self._phase is EXCHANGE and self._request_over and not self._turns.waiting and not self._paused:
            return  # the ordinary request, which came in one read
        self._settle()
        if self._phase is HEAD and not self._head_begun and self._intake.in_head(data):
            self._head_begun = True
            self.deadline = self.context.deadline(self.context.settings.head_timeout_s)

    def _feed(self, data: bytes, read: bytes, end: int) -> bool:
        """Parse `data`, a part of `read` that ends there. False: nothing may be parsed behind it."""
        try:
            behind_upgrade = self._intake.feed(data)
        except RequestError as refusal:
            self._turns.take(not self._intake.in_body, self._refuse, refusal)
            return False
        if behind_upgrade is None:
            return True
        self._turns.take(False, self._upgrade, behind_upgrade + read[end:])
        return False

    def _feed_in_parts(self, read: bytes) -> bytes:
        """A long read, and of requests that are ahead of their responses little. The last part that was parsed."""
        end, length, goes_on = 0, len(read), True
        part = b""
        while goes_on and end < length:
            begin, end = end, end + max(FEED_SIZE_BYTES, self._intake.body_left_bytes)
            part = read[begin:end]
            goes_on = self._feed(part, read, end)
            if goes_on and (self._turns.waiting or self._phase is not EXCHANGE):
                self._ahead = read[end:]
                break
        return part

    def eof_received(self) -> bool:
        """The client will send nothing more. Returns True while it may wait for the answer to a complete request."""
        if self._phase is EXCHANGE and self._request_over and self._may_be_waiting():
            self._pause(HALF_CLOSED)
            self._expect_life()
            return True
        self._leave()
        self._retire()
        return False

    def _may_be_waiting(self) -> bool:
        """True if a client that has closed its own direction may still be there: on TCP nothing tells, until we write."""
        return self.context.settings.half_close_timeout_s > 0 and not self.transport.is_gone()

    def _expect_life(self) -> None:
        """Give a client that has closed its own direction its time; each byte that it acknowledges begins that anew."""
        self.context.half_closed.watch(self.transport, self.context.now, self._half_closed_too_long)

    def _half_closed_too_long(self) -> None:
        if self.transport.unsent_bytes():  # one that had left would have reset upon them: it is slow, and may be
            self._expect_life()
        else:
            self.context.counters["aborted.half_closed"] += 1
            self._hang_up()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if isinstance(reason.value, PeerTimedOut):
            self.context.counters["aborted.peer_timed_out"] += 1
        self._leave()
        self._retire()
        self.context.stalled.forget(self.transport)
        self._let_go()

    def pause_writing(self) -> None:
        self._write_paused = True
        self.context.stalled.watch(self.transport, self.context.now, self._stalled)

    def resume_writing(self) -> None:
        self._write_paused = False
        if self._phase is GONE:
            return  # closing: whoever takes the rest is watched to the end
        self.context.stalled.forget(self.transport)
        size, self._undelivered_bytes = self._undelivered_bytes, 0
        if size and self._upstream is not None:
            self._upstream.delivered(size)
        self._go_on()

    # What the sweep says, or whoever ends the process.

    def late(self, now: float) -> None:
        """The deadline is past; which one it was, the phase tells."""
        if self._phase is HEAD and self._head_begun:
            self._refuse(RequestError(408, "the request head did not come in time", "head_timeout"))
        elif self._phase is HEAD:
            self.context.counters["closed.idle"] += 1
            self._close()
        elif self._phase is EXCHANGE:
            self.context.counters["refused.response_timeout"] += 1
            self._leave()
            self._answer(504, (TEXT,), b"the application did not answer in time\n")
        else:
            self._linger_on(now)

    def body_late(self, now: float) -> None:
        """Nothing of the request's body has come for the whole time; is that the client's doing, and does anybody wait for it?"""
        if self._phase is not EXCHANGE or self._request_over or self._spoken:
            del self.registry.uploading[self]
        elif self._paused or self._continue_owed:
            self.registry.uploading[self] = now
        else:
            self._refuse(RequestError(408, "the request body did not come in time", "body_timeout"))

    def hung_up(self) -> None:
        """The client closed while nobody read its socket: what it has sent before may be the rest of a request, or several."""
        if self._may_be_waiting():
            self._expect_life()
        else:
            self._hang_up()

    def _hang_up(self) -> None:
        self._leave()
        self._retire()
        self.transport.abortConnection()

    def close_if_idle(self) -> bool:
        """A request that has come as far as the kernel is none that may be lost: to close upon it would be a reset.

        True: it is idle and left, since it is new. Its client has connected to ask something.
        """
        if self._phase is not HEAD or self._head_begun or self._ahead or self.transport.has_unread():
            return False
        if not self._request_over and self.deadline > self.context.idle_deadline - NEW_S:
            return True
        self._close()
        return False

    def cut_off(self) -> None:
        """The process ends: so does this, whatever it was doing. Who has heard nothing yet hears that nothing will come."""
        self.context.counters["aborted.shutdown"] += 1
        if self._upstream is not None and not self._spoken:
            self._leave()
            self._answer(502, (TEXT,), b"the server had to stop before the application answered\n")
        else:
            self._hang_up()
