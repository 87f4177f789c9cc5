"""Measures responses and waits for the admin port of one interface server.

It stands between the protocol handlers and the dispatcher, as the `Backend` of the one in front of the other. So a server that does
not measure pays nothing for it.
"""

from __future__ import annotations

from time import monotonic
from typing import Any

from channel_layer.admin.histogram import Histogram
from channel_layer.admin.metrics import QUEUE_WAIT, RESPONSE_START, RESPONSES
from channel_layer.protocol.scope import Scope
from interface_server.connections.interfaces import Backend, Client, Upstream
from interface_server.http.interfaces import Measured

CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")


class Measurement:
    """A `Backend` that notes when a request begins, and a `ResponseMeter`."""

    def __init__(self, backend: Backend, health_paths: frozenset[str]) -> None:
        """health_paths: those of the server itself, whose responses do not count."""
        self._backend = backend
        self._health_paths = health_paths
        self._responses = dict.fromkeys(CLASSES, 0)
        self._response_start = Histogram()
        self.queue_wait = Histogram()

    @property
    def figures(self) -> dict[str, Any]:
        """What is measured, by the names of the table of metrics."""
        return {
            RESPONSES: self._responses,
            RESPONSE_START: self._response_start,
            QUEUE_WAIT: self.queue_wait,
        }

    @property
    def ready(self) -> bool:
        """See `Backend.ready`."""
        return self._backend.ready

    def open(
        self, client: Client, scope: Scope, body: bytes, more_body: bool, *, expect_continue: bool = False
    ) -> Upstream:
        """See `Backend.open`."""
        if scope.event["type"] == "http":
            client.began_s = monotonic()  # type: ignore[attr-defined]  # an exchange: see `Measured`
        return self._backend.open(client, scope, body, more_body, expect_continue=expect_continue)

    def responded(self, exchange: Measured, status: int) -> None:
        """See `ResponseMeter.responded`."""
        if exchange.began_s:
            self._response_start.observe(monotonic() - exchange.began_s)
            exchange.began_s = 0.0
        elif exchange.head is not None and exchange.head.path in self._health_paths:
            return
        self._responses[CLASSES[status // 100 - 1]] += 1
