"""The response side of an HTTP/1 connection: the `ResponseSink` of its exchange."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from channel_layer.protocol.events import Event
from interface_server.access_log.access_log import AccessLog
from interface_server.groups.interfaces import PushedMessage
from interface_server.groups.push_backlog import PushBacklog
from interface_server.http.exchange import Exchange
from interface_server.http.response import Response
from interface_server.http.server_context import ServerContext
from interface_server.http1.encoder import CONTINUE, JOINED_SIZE_BYTES_MAX, Http1Encoder, RenderedHeadCache
from interface_server.http1.request_reader import HALF_CLOSED, RequestReader
from interface_server.transport.transport import Transport


class Connection(Protocol):
    """The connection, as a writer uses it."""

    context: ServerContext
    exchange: Exchange
    reader: RequestReader
    transport: Transport
    write_paused: bool  #: the write buffer is above its mark

    def response_began(self) -> None:
        """Stop the timeout: the application has answered in time."""

    def expect_response(self, within_s: float) -> None:
        """See `ResponseSink.expect_response`."""

    def end_exchange(self, keep_alive: bool) -> None:
        """End the exchange: the response is complete. keep_alive: another request may follow."""

    def too_slow(self) -> None:
        """Disconnect: the client does not take what groups and third parties send."""

    def close(self) -> None:
        """Close once all is written."""

    def reset(self) -> None:
        """Close in a way that the client cannot take for an orderly end."""


class ResponseWriter:
    """Writes one response after another."""

    __slots__ = ("_backlog", "_connection", "_encoder", "_heads", "_reader", "_transport")

    def __init__(self, connection: Connection, heads: RenderedHeadCache) -> None:
        self._connection = connection
        self._reader = connection.reader
        self._transport = connection.transport
        self._heads = heads
        self._backlog: PushBacklog | None = None  # while pushes wait in a full write buffer
        self._encoder: Http1Encoder | None = None  # of the response under way, unless it is written at once

    @property
    def access_log(self) -> AccessLog:
        return self._connection.context.access_log

    def send_remembered(self, events: Sequence[Event]) -> bool:
        if self._reader.paused:
            return False
        rendered = self._heads.lookup(events)
        if rendered is None:
            return False
        self._transport.write(rendered)
        return True

    def headers(self, response: Response) -> None:
        connection = self._connection
        head = connection.exchange.head
        may_keep_alive = connection.exchange.may_keep_alive and not self._reader.paused & HALF_CLOSED
        if head is None:
            self._encoder = Http1Encoder(response, http11=True, keep_alive=False, heads=self._heads)
        else:
            keep_alive = head.keep_alive and may_keep_alive
            self._encoder = Http1Encoder(response, head.version == "1.1", keep_alive, self._heads)
        self._encoder.headers(response)
        connection.response_began()

    def data(self, body: bytes, last: bool) -> None:
        if self._encoder is not None:
            self._encoder.data(body, last)

    def flush(self, size_bytes: int) -> bool:
        """Write what is encoded: small pieces in one write, large ones without a copy. Returns False above the mark of the write buffer."""
        pieces = self._encoder.take() if self._encoder is not None else ()
        if len(pieces) == 1:
            self._transport.write(pieces[0])
        elif pieces and size_bytes <= JOINED_SIZE_BYTES_MAX:
            self._transport.write(b"".join(pieces))
        elif pieces:
            self._transport.write_pieces(pieces, sum(map(len, pieces)))
        return not self._connection.write_paused

    def push(self, pushed: PushedMessage) -> None:
        if self._encoder is None:
            return
        data = self._encoder.frame(pushed)
        self._transport.write(data)
        if self._connection.write_paused:
            if self._backlog is None:
                self._backlog = PushBacklog(self._connection.context, self._transport, self._connection.too_slow)
            self._backlog.add(len(data))

    def end_backlog(self) -> None:
        """Stop watching the client: it has taken most of what waited, or the stream is over."""
        backlog, self._backlog = self._backlog, None
        if backlog is not None:
            backlog.end()

    def send_continue(self) -> None:
        self._transport.write(CONTINUE)

    def end(self, keep_alive: bool) -> None:
        encoder = self._encoder
        if encoder is not None:
            self._encoder = None
            keep_alive = keep_alive and encoder.keep_alive
            self.end_backlog()
        self._connection.end_exchange(keep_alive)

    def abort(self) -> None:
        """Close before the response is complete: its last chunk or some of its length is missing.

        Where the client would notice neither, the connection is reset.
        """
        encoder, self._encoder = self._encoder, None
        if encoder is not None and encoder.framed:
            self._connection.close()
        else:
            self._connection.reset()

    def expect_response(self, within_s: float) -> None:
        self._connection.expect_response(within_s)
