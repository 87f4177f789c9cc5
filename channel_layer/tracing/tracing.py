"""The spans of one process, and the collector that they go to.

The SDK reads OTEL_… variables: which collector, which share of traces, which name this service has. Its provider is ours alone, so an
application that sets up one of its own is not disturbed. Spans are sent by a thread of the SDK.

Source: W3C Trace Context; OpenTelemetry's semantic conventions for HTTP. There are none for WebSockets: their spans have those of HTTP
for the handshake, and `towpath.close_code`.
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

from channel_layer.protocol.close_codes import INTERNAL_ERROR, NORMAL

Fields = Iterable[tuple[bytes, bytes]]

#: The name of the spans of WebSockets. Not that of their method: they last for hours, and are no responses to `GET`.
WEBSOCKET = "websocket"
#: The status of a handshake that the application has accepted, and that of one that it has refused without a response of its own.
ACCEPTED, REFUSED = 101, 403
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
        """Begin the span of a request or a WebSocket: a child of the one that its header fields name, or the first of a new trace.

        request: the scope of ASGI.
        """
        carrier = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in request["headers"] if name in OF_A_TRACE
        }
        attributes = {
            "http.request.method": request.get("method", "GET"),
            "url.path": request["path"],
            "url.scheme": request["scheme"],
            "network.protocol.version": request["http_version"],
        }
        if request.get("client"):
            attributes["client.address"] = request["client"][0]
        span: Span = self._tracer.start_span(
            request.get("method", WEBSOCKET), _CONTEXT.extract(carrier), kind, attributes
        )
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


class WebSocketNotes:
    """Notes in the span of a WebSocket what its application sends, and with which code it ends."""

    __slots__ = ("_span", "is_answered", "is_open")

    def __init__(self, span: Span) -> None:
        self._span = span
        self.is_answered = False  #: the handshake has a status
        self.is_open = False  #: it is accepted, and no code is noted yet

    def sent(self, event: dict[str, Any]) -> None:
        """Note an event of the application: only those that answer or close matter."""
        kind = event.get("type")
        if kind == "websocket.close" and self.is_open:
            self.closed(event.get("code", NORMAL))
        elif self.is_answered:
            return
        elif kind == "websocket.accept":
            self.is_open = True
            self.answered(ACCEPTED)
        elif kind == "websocket.close":
            self.answered(REFUSED)
        elif kind == "websocket.http.response.start":
            self.answered(event["status"])

    def answered(self, status: int) -> None:
        """Note the status of the answer to the handshake."""
        self.is_answered = True
        note_status(self._span, status)

    def closed(self, code: int) -> None:
        """Note the code of the close, the first if there are several; 1011 is an error of the server."""
        if not self.is_open:
            return
        self.is_open = False
        self._span.set_attribute("towpath.close_code", code)
        if code == INTERNAL_ERROR:
            self._span.set_status(Status(StatusCode.ERROR))
