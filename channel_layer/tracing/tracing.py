"""The spans of one process, and the collector that they go to.

The SDK reads OTEL_… variables: which collector, which share of traces, which name this service has. Its provider is ours alone, so an
application that sets up one of its own is not disturbed. Spans are sent by a thread of the SDK.

Source: W3C Trace Context; OpenTelemetry's semantic conventions for HTTP.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

Fields = Iterable[tuple[bytes, bytes]]

#: How long the end of a process waits for a collector that does not answer.
CLOSE_S_MAX = 2.0
OF_A_TRACE = frozenset((b"traceparent", b"tracestate"))
_CONTEXT = TraceContextTextMapPropagator()


class Tracing:
    """Makes spans, until it is closed."""

    def __init__(self) -> None:
        named = {} if "OTEL_SERVICE_NAME" in os.environ else {SERVICE_NAME: "towpath"}
        self._provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("towpath")

    def start(self, kind: SpanKind, request: dict[str, Any]) -> Span:
        """Begin the span of a request: a child of the one that its header fields name, or the first of a new trace.

        request: the scope of ASGI.
        """
        carrier = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in request["headers"] if name in OF_A_TRACE
        }
        attributes = {
            "http.request.method": request["method"],
            "url.path": request["path"],
            "url.scheme": request["scheme"],
            "network.protocol.version": request["http_version"],
        }
        if request.get("client"):
            attributes["client.address"] = request["client"][0]
        span: Span = self._tracer.start_span(request["method"], _CONTEXT.extract(carrier), kind, attributes)
        return span

    def close(self) -> None:
        """Send what is left, for at most CLOSE_S_MAX."""
        sender = threading.Thread(target=self._provider.shutdown, name="towpath-traces", daemon=True)
        sender.start()
        sender.join(CLOSE_S_MAX)


def continued(fields: Fields, span: Span) -> list[tuple[bytes, bytes]]:
    """Header fields in which this span is the parent of what comes next."""
    carrier: dict[str, str] = {}
    _CONTEXT.inject(carrier, set_span_in_context(span))
    own = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in carrier.items()]
    return [*(field for field in fields if field[0] not in OF_A_TRACE), *own]


def note_status(span: Span, status: int) -> None:
    """Note the status of the response; from 500 on it is an error of the server."""
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        span.set_status(Status(StatusCode.ERROR))
