"""Makes a span for each HTTP request that an application gets: a child of that of the interface server.

The span is the current one while an ASGI application runs, and its header fields continue the trace, so that the application's own
instrumentation joins by either. WSGI applications run in contexts of their own, and join by the header.

Not in the package of the worker: that is imported as a whole before an application is loaded, and this only where it is needed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from opentelemetry.trace import SpanKind, use_span

from channel_layer.protocol.events import Event
from channel_layer.tracing.tracing import Tracing, continued, note_status

Application = Callable[[Event, Callable[[], Awaitable[Event]], Callable[[Event], Awaitable[None]]], Awaitable[Any]]


class RequestSpans:
    """Makes the spans of one worker."""

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing

    def around(self, application: Application) -> Application:
        """An ASGI 3 application that answers as this one, and whose HTTP requests have spans."""

        async def run(
            scope: Event, receive: Callable[[], Awaitable[Event]], send: Callable[[Event], Awaitable[None]]
        ) -> None:
            if scope["type"] != "http":
                await application(scope, receive, send)
                return
            span = self._tracing.start(SpanKind.INTERNAL, scope)
            scope["headers"] = continued(scope["headers"], span)

            async def send_noted(event: Event) -> None:
                if event.get("type") == "http.response.start" and isinstance(event.get("status"), int):
                    note_status(span, event["status"])
                await send(event)

            with use_span(span, end_on_exit=True):
                await application(scope, receive, send_noted)

        return run

    def close(self) -> None:
        """Send what is left."""
        self._tracing.close()
