"""The request side of an HTTP/1 connection: passes bytes to the parser, and parsed requests to the exchange, in order.

* One exchange at a time. Requests that a client sends ahead (pipelining) wait: a small part of a read in `pipeline`, the rest of that
  read unparsed in `_unparsed`, and the socket is not read meanwhile. They wait too while the former response has not left.
"""

from __future__ import annotations

from math import inf
from typing import Protocol

from channel_layer.protocol.events import Event
from interface_server.http.errors import RequestError
from interface_server.http.exchange import BODY, COMPLETE, Exchange, RequestState
from interface_server.http.request import Head
from interface_server.http.scope import ScopeBuilder, websocket_scope
from interface_server.http.server_context import ServerContext
from interface_server.http1.parser import RequestParser
from interface_server.http1.phase import EXCHANGE, GONE, HEAD, IDLE, LINGERING, Phase
from interface_server.http1.pipeline import Pipeline
from interface_server.transport.transport import Transport

#: Parsed at once, but for the inside of a body. Requests take twenty times their bytes once they are parsed, and some are
#: answered on the spot: requests that one client has sent ahead must neither fill our memory nor hold up the others.
PARSE_SIZE_BYTES_MAX = 16 * 1024
#: Why the socket is not read, as bits: the application's window is used up; the client is ahead of its responses; the client
#: has closed its own direction, and waits for the answer to a complete request.
NO_CREDIT, PIPELINED, HALF_CLOSED = 1, 2, 4


class Connection(Protocol):
    """The connection, as a reader uses it."""

    context: ServerContext
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


class RequestReader:
    """Reads one connection: the listener of its parser."""

    __slots__ = ("_connection", "_parser", "_parts", "_scopes", "_unparsed", "paused", "pipeline")

    def __init__(self, connection: Connection) -> None:
        context, transport = connection.context, connection.transport
        self._connection = connection
        self._parser = RequestParser(self, context.settings)
        self.pipeline = Pipeline(self._is_free)  #: parsed requests that wait for their turn
        self._scopes = ScopeBuilder(transport.peer(), transport.host(), context.settings.root_path, context.trusted)
        self._parts: list[bytes] = []  # of the request's body, out of the read that is being parsed
        self._unparsed = b""  # read, and not yet parsed: the client is ahead of its responses
        self.paused = 0  #: why the socket is not read, as bits

    # Bytes.

    def receive(self, data: bytes) -> None:
        """The bytes of one read."""
        connection = self._connection
        if len(data) > PARSE_SIZE_BYTES_MAX:
            data = self._parse_in_parts(data)
        else:
            try:
                behind_upgrade = self._parser.receive_data(data)
            except RequestError as error:
                self._refuse(error)
            else:
                if behind_upgrade is not None:
                    self.pipeline.take(False, self._upgrade, behind_upgrade)
        if (  # the ordinary request, which came in one read
            connection.phase is EXCHANGE
            and connection.exchange.request_state is COMPLETE
            and not self.pipeline.waiting
            and not self.paused
        ):
            return
        self._settle()
        if connection.phase is IDLE and self._parser.in_head(data):
            connection.enter(HEAD, connection.context.deadline(connection.context.settings.head_timeout_s))

    def _parse(self, data: bytes, read: bytes, end: int) -> bool:
        """Parse `data`, a part of `read` that ends there. False: nothing after it may be parsed."""
        try:
            behind_upgrade = self._parser.receive_data(data)
        except RequestError as error:
            self._refuse(error)
            return False
        if behind_upgrade is None:
            return True
        self.pipeline.take(False, self._upgrade, behind_upgrade + read[end:])
        return False

    def _refuse(self, error: RequestError) -> None:
        self.pipeline.take(not self._parser.in_body, self._connection.exchange.refuse, error)

    def _parse_in_parts(self, read: bytes) -> bytes:
        """Parse a long read in parts, but few requests that are ahead of their responses. Returns the last part that was parsed."""
        end, length, goes_on = 0, len(read), True
        part = b""
        while goes_on and end < length:
            begin, end = end, end + max(PARSE_SIZE_BYTES_MAX, self._parser.body_left_bytes)
            part = read[begin:end]
            goes_on = self._parse(part, read, end)
            if goes_on and (self.pipeline.waiting or self._connection.phase is not EXCHANGE):
                self._unparsed = read[end:]
                break
        return part

    # Calls of the parser: handed on now, or in their turn.

    def head_came(self, head: Head, fields: list[tuple[bytes, bytes]]) -> None:
        connection = self._connection
        if connection.phase is IDLE and not connection.write_paused and not self.pipeline.waiting:
            connection.enter(EXCHANGE, inf)  # the ordinary way: as `_begin`, without a call for each request
            connection.exchange.begin(head, self._scopes.scope(head, fields))
        else:
            self.pipeline.take(True, self._begin, head, fields)

    def part_came(self, part: bytes) -> None:
        self.pipeline.take(False, self._receive_part, part)

    def request_over(self) -> None:
        connection = self._connection
        if self.pipeline.waiting:
            self.pipeline.take(False, self._end_request)
        elif self._parts or connection.exchange.request_state is BODY:
            self._end_request()
        elif connection.phase is EXCHANGE:  # the ordinary way: no body
            connection.exchange.open(b"", False)

    def _is_free(self) -> bool:
        connection = self._connection
        phase = connection.phase
        return (phase is IDLE or phase is HEAD) and not connection.write_paused

    def _begin(self, head: Head, fields: list[tuple[bytes, bytes]]) -> None:
        connection = self._connection
        connection.enter(EXCHANGE, inf)
        connection.exchange.begin(head, self._scopes.scope(head, fields))

    def _receive_part(self, part: bytes) -> None:
        if self._connection.phase is EXCHANGE:
            self._parts.append(part)

    def _end_request(self) -> None:
        if self._connection.phase is EXCHANGE:
            self._connection.exchange.forward(self._take_parts() if self._parts else b"", more=False)

    def _take_parts(self) -> bytes:
        """Remove and return all parts of the body in one read; a single one is not copied."""
        parts, self._parts = self._parts, []
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _upgrade(self, remaining_bytes: bytes) -> None:
        connection = self._connection
        if connection.phase is not EXCHANGE:
            return
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
        return bool(self.pipeline.waiting or self._unparsed)

    @property
    def has_unparsed(self) -> bool:
        return self._unparsed != b""

    def go_on(self) -> None:
        """Hand on the waiting parts: the former response is complete, or the write buffer is below its mark."""
        if self.pipeline.waiting:
            self.pipeline.go_on()
            self._settle()

    def _settle(self) -> None:
        """Forward the parts of one read as one event; then pause or resume reading."""
        connection = self._connection
        if connection.phase is GONE:
            return
        if self.pipeline.waiting or self._unparsed:
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
        if not self.pipeline.waiting:
            self._connection.context.loop.call_soon(
                self._parse_unparsed
            )  # not at once: other connections get a turn too

    def _parse_unparsed(self) -> None:
        if self._unparsed and not self.pipeline.waiting:
            data, self._unparsed = self._unparsed, b""
            self.receive(data)

    def drop_pipelined(self) -> None:
        """Drop the requests that the client has sent ahead of its responses."""
        self.pipeline.forget()
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

    # The end.

    def rejected_request(self) -> tuple[tuple[str, int] | None, bytes, bytes]:
        """Peer, method and target of a head that was refused, as far as they were read."""
        return (self._scopes.client, *self._parser.refused())

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

    def break_cycles(self) -> None:
        """Break the reference cycles with parser and pipeline: a closed reader is freed at once, not by the garbage collector."""
        del self._parser, self.pipeline
