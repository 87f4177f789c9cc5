"""Notes in each exchange when, and by which reply channel, it was opened: for the access log and for the admin port.

It stands in front of the dispatcher, and of the backend that traces, since it needs the exchange itself. It is there where an option
asks for it: a server that shows neither pays nothing.
"""

from __future__ import annotations

from time import monotonic
from typing import Protocol, cast

from channel_layer.protocol.scope import Scope
from interface_server.access_log.access_log import AccessLog
from interface_server.connections.interfaces import Backend, Client, Upstream


class ObservedExchange(Protocol):
    """The client of a request, as an `ObservedBackend` sees it."""

    access_log: AccessLog
    began_s: float
    """When it was opened at the backend (monotonic); 0.0 if it was not, and once a meter has its response."""


class ObservedBackend:
    """A `Backend` in front of another. WebSockets pass."""

    __slots__ = ("_backend",)

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    @property
    def ready(self) -> bool:
        """See `Backend.ready`."""
        return self._backend.ready

    def open(
        self, client: Client, scope: Scope, body: bytes, more_body: bool, *, expect_continue: bool = False
    ) -> Upstream:
        """See `Backend.open`."""
        if scope.event["type"] != "http":
            return self._backend.open(client, scope, body, more_body, expect_continue=expect_continue)
        exchange = cast(ObservedExchange, client)
        exchange.began_s = began_s = monotonic()
        upstream = self._backend.open(client, scope, body, more_body, expect_continue=expect_continue)
        exchange.access_log.opened(upstream.channel, began_s)
        return upstream
