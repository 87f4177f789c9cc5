"""All HTTP/1 connections of one interface server: their timeouts, and how they end when the process stops."""

from __future__ import annotations

import logging
from typing import Final, Protocol

from channel_layer.process.rate_limited_log import RateLimitedLog
from interface_server.http.exchange import Exchange
from interface_server.http.interfaces import ResponseEncoder
from interface_server.http.response import Response
from interface_server.http.server_context import ServerContext
from interface_server.http1.encoder import Http1Encoder, RenderedHeadCache

logger: Final = logging.getLogger("towpath.interface")


class Registered(Protocol):
    """A connection, as the registry uses it."""

    deadline: float  #: loop.time() after which `late` is called
    exchange: Exchange

    def late(self, now: float) -> None: ...

    def has_hung_up(self) -> bool: ...

    def on_hang_up(self) -> None: ...

    def close_if_idle(self) -> bool: ...

    def cut_off(self) -> None: ...


class Http1Registry:
    """The connections that exist, and their shared context."""

    __slots__ = ("_slow_log", "connections", "context", "heads", "unread")

    def __init__(self, context: ServerContext) -> None:
        self.context = context
        self.heads = RenderedHeadCache(context.default_headers)
        #: Connections with HTTP; one that became a WebSocket is removed.
        self.connections: set[Registered] = set()
        #: Connections whose socket is not read at present, so that its end must be watched for.
        self.unread: set[Registered] = set()
        self._slow_log = RateLimitedLog()
        context.ticker.add(self._check_timeouts)

    def encode_denial(self) -> ResponseEncoder:
        """For a response of HTTP/1.1 after which the connection closes."""
        return Http1Encoder(Response(head_only=False), http11=True, keep_alive=False, heads=self.heads)

    def drain(self) -> bool:
        """Keep no connection any longer than its exchange: idle ones are closed now, the others send `close`.

        Returns True if new ones are left, since their first request may be on its way: call it again.
        """
        self.context.draining = True
        new = [connection for connection in tuple(self.connections) if connection.close_if_idle()]
        return bool(new)

    def event_streams(self) -> list[Exchange]:
        """The exchanges that `end_for_shutdown` may end in the middle of their response."""
        return [connection.exchange for connection in self.connections if connection.exchange.is_event_stream()]

    def abort_all(self) -> None:
        """Cut off all remaining connections: the time to finish is over. Each exchange under way is left."""
        for connection in tuple(self.connections):
            connection.cut_off()

    def log_slow(self, channel: str, waiting_bytes: int) -> None:
        """Count a client that does not take what groups and third parties send, and log it, with a rate limit."""
        self.context.counters["aborted.slow"] += 1
        if times := self._slow_log.count(self.context.loop.time()):
            text = "%s does not take what it is sent (slow): aborted, and %d bytes are dropped; %d such since the last such line"
            logger.warning(text, channel, waiting_bytes, times)

    def _check_timeouts(self, now: float) -> None:
        for connection in [each for each in self.connections if each.deadline < now]:
            connection.late(now)
        for connection in [each for each in self.unread if each.has_hung_up()]:
            connection.on_hang_up()
