"""Measures responses, waits and bytes for the admin port of one interface server.

`ObservedBackend` notes when a request begins. A server that does not measure pays nothing for it.
"""

from __future__ import annotations

from time import monotonic
from typing import Any

from channel_layer.admin.histogram import Histogram
from channel_layer.admin.metrics import (
    CLIENT_BYTES,
    CLIENT_PAUSED,
    QUEUE_WAIT,
    RESPONSE_START,
    RESPONSES,
    WITHOUT_WORKER,
)
from interface_server.admin.client_bytes import ClientBytes
from interface_server.http.interfaces import MeasuredExchange

CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")


class Measurement:
    """A `ResponseMeter`, the histograms of waits, and the bytes of all clients."""

    def __init__(self, health_paths: frozenset[str]) -> None:
        """health_paths: those of the server itself, whose responses do not count."""
        self._health_paths = health_paths
        self._responses = dict.fromkeys(CLASSES, 0)
        self._response_start = Histogram()
        self.queue_wait = Histogram()
        self.without_worker = Histogram()
        self.client_paused = Histogram()
        self.client_bytes = ClientBytes()

    @property
    def figures(self) -> dict[str, Any]:
        """What is measured, by the names of the table of metrics."""
        return {
            RESPONSES: self._responses,
            RESPONSE_START: self._response_start,
            QUEUE_WAIT: self.queue_wait,
            WITHOUT_WORKER: self.without_worker,
            CLIENT_PAUSED: self.client_paused,
            CLIENT_BYTES: self.client_bytes,
        }

    def responded(self, exchange: MeasuredExchange, status: int) -> None:
        """See `ResponseMeter.responded`."""
        if exchange.began_s:
            self._response_start.observe(monotonic() - exchange.began_s)
            exchange.began_s = 0.0
        elif exchange.head is not None and exchange.head.path in self._health_paths:
            return
        self._responses[CLASSES[status // 100 - 1]] += 1
