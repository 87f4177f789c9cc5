"""Registry of all WebSockets of one interface server, and what they share."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, Protocol

from channel_layer.process.rate_limited_log import RateLimitedLog
from interface_server.connections.interfaces import Upstream
from interface_server.http.interfaces import ResponseEncoder
from interface_server.http.server_context import ServerContext
from interface_server.transport.byte_stream import ByteStream
from interface_server.transport.read_budget import ReadBudget
from interface_server.websocket.frame_parser import ParserPool
from interface_server.websocket.timeouts import ConnectionTimeouts, Timeouts

logger: Final = logging.getLogger("towpath.interface")


class Registered(ConnectionTimeouts, Protocol):
    """One WebSocket, as the registry calls it."""

    def end_for_shutdown(self) -> None:
        """End in the way that the state allows: the process stops."""


class Unread(Protocol):
    """A reader of a paused stream, which does not notice when its client leaves."""

    def check_unread(self) -> None:
        """End the connection if the client has left and no worker has it."""


class WebSocketRegistry:
    """The WebSockets that exist; one registry per process."""

    __slots__ = ("_slow_log", "alive", "context", "encode_denial", "parsers", "read_budget", "timeouts", "unread")

    def __init__(self, context: ServerContext, encode_denial: Callable[[], ResponseEncoder]) -> None:
        """encode_denial: makes an encoder for a response with which an application refuses a handshake."""
        self.context = context
        self.encode_denial = encode_denial
        self.parsers = ParserPool(context.settings.ws_size_bytes_max)
        self.timeouts = Timeouts(context.settings)
        self.read_budget = ReadBudget(context.loop)
        self.alive: set[Registered] = set()  #: from the upgrade until the stream is gone
        self.unread: set[Unread] = set()
        self._slow_log = RateLimitedLog()
        context.ticker.add(self.timeouts.check)
        context.ticker.add(self._check_unread)

    def close_all(self) -> None:
        """Close open sockets and refuse those in their handshake: the server stops. Each has the usual time to answer."""
        for connection in tuple(self.alive):
            connection.end_for_shutdown()

    def add(self, connection: Registered) -> None:
        """Count `connection` against the limit of connections, and end it when the server stops."""
        self.context.under_way += 1
        self.alive.add(connection)

    def remove(self, connection: Registered, stream: ByteStream) -> None:
        """Forget `connection` and its timeouts: its stream has ended."""
        self.context.under_way -= 1
        self.alive.discard(connection)
        self.context.write_timeouts.forget(stream)
        self.context.slow.forget(stream)
        self.timeouts.remove(connection)

    def now(self) -> float:
        """The loop's time."""
        return self.context.loop.time()

    def log_slow(self, upstream: Upstream | None, why: str, waiting_bytes: int) -> None:
        """Count a client that does not take what it is sent, and log it, with a rate limit."""
        self.context.counters[f"closed.{why}"] += 1
        if times := self._slow_log.count(self.now()):
            channel = upstream.channel if upstream is not None else "?"
            text = "%s does not take what it is sent (%s): closed with 1013, and %d bytes are dropped; %d such since the last such line"
            logger.warning(text, channel, why, waiting_bytes, times)

    def count_dropped(self, kind: object) -> None:
        """Count a message of a group or a third party that was dropped. kind: its type."""
        if kind == "http.response.body":
            self.context.counters["dropped.push_to_websocket"] += 1
        else:
            self.context.counters["dropped.push_not_open"] += 1

    def _check_unread(self, _now: float) -> None:
        for reader in tuple(self.unread):
            reader.check_unread()
