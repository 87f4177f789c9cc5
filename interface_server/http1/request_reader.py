"""The request side of an HTTP/1 connection: passes bytes to the parser, and parsed requests to the exchange, in order.

* One exchange at a time. Requests that a client sends ahead (pipelining) wait: a small part of a read in `parsed`, the rest of that
  read unparsed in `_unparsed`, and the socket is not read meanwhile. They wait too while the former response has not left.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any, Final, Protocol

from channel_layer.protocol.events import Event
from interface_server.http.answers import RequestError
from interface_server.http.exchange import COMPLETE, Exchange, RequestState
from interface_server.http.scope import ScopeBuilder, websocket_scope
from interface_server.http.server_context import ServerContext
from interface_server.http1.parser import END, RequestItem, RequestParser
from interface_server.http1.phase import BEGUN, EXCHANGE, GONE, HEAD, IDLE, LINGERING, Phase
from interface_server.transport.transport import Transport

#: Parsed at once, but for the inside of a body. Requests take twenty times their bytes once they are parsed, and some are
#: answered on the spot: requests that one client has sent ahead must neither fill our memory nor hold up the others.
PARSE_SIZE_BYTES_MAX: Final = 16 * 1024
#: Why the socket is not read, as bits: the application's window is used up; the client is ahead of its responses; the client
#: has closed its own direction, and waits for the answer to a complete request.
NO_CREDIT: Final = 1
PIPELINED: Final = 2
HALF_CLOSED: Final = 4


class Connection(Protocol):
    """The connection, as a reader uses it."""

    context: ServerContext
    deadline: float
    exchange: Exchange
    phase: Phase
    transport: Transport
    write_paused: bool  #: the write buffer is above its mark

    def enter(self, phase: Phase, deadline: float) -> None:
        """Enter the next phase. deadline: loop.time() at which it is late."""

    def reading_stopped(self) -> None:
        """Watch for the end of the socket, which is not read from now on."""

    def reading_resumed(self) -> None:
        """Stop that watch: the socket is read again."""

    def upgrade(self, scope: Event, remaining_bytes: bytes) -> None:
        """Hand the transport over to a WebSocket."""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """Parsed behind the head that asks for WebSocket: the bytes that follow are the WebSocket's."""

    remaining_bytes: bytes


@dataclass(frozen=True, slots=True)
class Rejected:
    """Parsed as the last item: a request that is not served. begins: nothing of this request was parsed before it."""

    error: RequestError
    begins: bool


class RequestReader:
    """Reads one connection: the `RequestSource` of its exchange."""

    __slots__ = ("_connection", "_handing_on", "_parser", "_parts", "_scopes", "_unparsed", "parsed", "paused")

    def __init__(self, connection: Connection) -> None:
        context, transport = connection.context, connection.transport
        self._connection = connection
        #: Items that were parsed and not handed on yet: RequestItem, Upgrade, Rejected. A head waits for its turn, the rest follows it.
        self.parsed: list[Any] = []
        self._parser = RequestParser(self.parsed, context.settings)
        self._scopes = ScopeBuilder(transport.peer(), transport.host(), context.settings.root_path, context.trusted)
        self._parts: list[bytes] = []  # of the request's body, out of the read that is being parsed
        self._unparsed = b""  # read, and not yet parsed: the client is ahead of its responses
        self._handing_on = False
        self.paused = 0  #: why the socket is not read, as bits

    # Bytes.

    def receive(self, data: bytes) -> None:
        """Parse the bytes of one read, and hand on what they complete."""
        connection, parsed = self._connection, self.parsed
        if len(data) > PARSE_SIZE_BYTES_MAX:
            data = self._parse_in_parts(data)
        else:
            self._parse(data, data, len(data))
            phase = connection.phase
            if (  # the ordinary request, which came in one read and has no body
                len(parsed) == 2
                and parsed[1] is END
                and phase is IDLE
                and not self.paused
                and not connection.write_paused
            ):
                head, fields = parsed[0]
                parsed.clear()
                connection.phase, connection.deadline = BEGUN, inf  # `enter`, without a call for each request
                connection.exchange.serve(head, self._scopes.scope(head, fields))
                if connection.phase is EXCHANGE:
                    return
            self._hand_on()
        self._settle()
        if connection.phase is IDLE and self._parser.in_head(data):
            connection.enter(HEAD, connection.context.deadline(connection.context.settings.head_timeout_s))

    def _parse(self, data: bytes, read: bytes, end: int) -> bool:
        """Parse `data`, a part of `read` that ends there. False: nothing after it may be parsed."""
        try:
            remaining_bytes = self._parser.receive_data(data)
        except RequestError as error:
            self.parsed.append(Rejected(error, not self._parser.in_body))
            return False
        if remaining_bytes is None:
            return True
        self.parsed.append(Upgrade(remaining_bytes + read[end:]))
        return False

    def _parse_in_parts(self, read: bytes) -> bytes:
        """Parse a long read in parts, but few requests that are ahead of their responses. Returns the last part that was parsed."""
        end, length, goes_on = 0, len(read), True
        part = b""
        while goes_on and end < length:
            begin, end = end, end + max(PARSE_SIZE_BYTES_MAX, self._parser.body_left_bytes)
            part = read[begin:end]
            goes_on = self._parse(part, read, end)
            self._hand_on()
            if goes_on and (self.parsed or self._connection.phase is not EXCHANGE):
                self._unparsed = read[end:]
                break
        return part

    # What was parsed: handed on now, or in its turn.

    def _hand_on(self) -> None:
        """Hand on what was parsed, in order, up to a request that has to wait. An item may end the exchange: no recursion."""
        if self._handing_on:
            return
        parsed = self.parsed
        self._handing_on = True
        try:
            while parsed and (not _begins(parsed[0]) or self._is_free()):
                self._hand_on_item(parsed.pop(0))
        finally:
            self._handing_on = False

    def _hand_on_item(self, item: RequestItem | Upgrade | Rejected) -> None:
        connection = self._connection
        if isinstance(item, bytes):  # first: a body may come in thousands of small chunks
            if connection.phase is EXCHANGE:
                self._parts.append(item)
        elif isinstance(item, tuple):
            connection.enter(EXCHANGE, inf)
            connection.exchange.begin(item[0], self._scopes.scope(*item))
        elif isinstance(item, Rejected):
            connection.exchange.refuse(item.error)
        elif connection.phase is not EXCHANGE:
            return  # the rest of a request that was answered before its end
        elif isinstance(item, Upgrade):
            self._upgrade(item.remaining_bytes)
        else:
            connection.exchange.forward(self._take_parts(), more=False)

    def _is_free(self) -> bool:
        connection = self._connection
        phase = connection.phase
        return (phase is IDLE or phase is HEAD) and not connection.write_paused

    def _take_parts(self) -> bytes:
        """Remove and return all parts of the body in one read; a single one is not copied."""
        parts, self._parts = self._parts, []
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _upgrade(self, remaining_bytes: bytes) -> None:
        connection = self._connection
        scope = connection.exchange.scope
        assert scope is not None  # an exchange is under way
        if connection.context.full():
            connection.exchange.refuse_full()
            return
        self.resume(PIPELINED)
        connection.upgrade(websocket_scope(scope.event), remaining_bytes)

    # The client is ahead of its responses.

    @property
    def has_pipelined(self) -> bool:
        """True if something that was read behind the request under way waits."""
        return bool(self.parsed or self._unparsed)

    @property
    def has_unparsed(self) -> bool:
        return self._unparsed != b""

    def go_on(self) -> None:
        """Hand on the waiting requests: the former response is complete, or the write buffer is below its mark."""
        if self.parsed and not self._handing_on:
            self._hand_on()
            self._settle()

    def _settle(self) -> None:
        """Forward the parts of one read as one event; then pause or resume reading."""
        connection = self._connection
        if connection.phase is GONE:
            return
        if self.parsed or self._unparsed:
            self._wait_for_turn()
            return
        if self.paused & PIPELINED:
            self.resume(PIPELINED)
        if connection.phase is EXCHANGE:
            state = connection.exchange.request_state
            if state is RequestState.HEAD or (self._parts and state is not COMPLETE):
                connection.exchange.forward(self._take_parts(), more=True)

    def _wait_for_turn(self) -> None:
        """Pause reading while the client is ahead of its responses."""
        if self._connection.phase is LINGERING:
            self.drop_pipelined()
            return
        self.pause(PIPELINED)
        if not self.parsed:
            # Not at once: other connections get a turn too.
            self._connection.context.loop.call_soon(self._parse_unparsed)

    def _parse_unparsed(self) -> None:
        if self._unparsed and not self.parsed:
            data, self._unparsed = self._unparsed, b""
            self.receive(data)

    def drop_pipelined(self) -> None:
        """Drop the requests that the client has sent ahead of its responses."""
        self.parsed.clear()
        self._unparsed = b""

    # Whether the socket is read.

    def pause(self, why: int) -> None:
        if not self.paused:
            self._connection.transport.pause_reading()
            self._connection.reading_stopped()
        self.paused |= why

    def resume(self, why: int) -> None:
        if self.paused & why:
            self.paused &= ~why
            if not self.paused:
                self._connection.reading_resumed()
                self._connection.transport.resume_reading()

    # The calls of the exchange: `RequestSource`.

    def pause_reading(self) -> None:
        self.pause(NO_CREDIT)

    def resume_reading(self) -> None:
        self.resume(NO_CREDIT)

    @property
    def reading_paused(self) -> bool:
        return self.paused != 0

    def rejected_request(self) -> tuple[tuple[str, int] | None, bytes, bytes]:
        """Peer, method and target of a head that was refused, as far as they were read."""
        return (self._scopes.client, *self._parser.refused())

    # The end.

    def discard_rest(self) -> None:
        """Serve nothing more, but read on, for as long as the connection lingers."""
        self.close()
        self.paused = 0
        self._connection.reading_resumed()
        self._connection.transport.resume_reading()

    def close(self) -> None:
        """Serve nothing more."""
        self.drop_pipelined()
        self._parts = []
        self._parser.close()


def _begins(item: RequestItem | Upgrade | Rejected) -> bool:
    """True if this is the first that is parsed of a request."""
    return item.begins if isinstance(item, Rejected) else isinstance(item, tuple)
