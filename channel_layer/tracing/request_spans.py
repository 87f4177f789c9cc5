"""Makes a span for each HTTP request and each WebSocket that an application gets: a child of that of the interface server.

A WebSocket that is handed over has one for each instance.

The span is the current one while an ASGI application runs, and its header fields continue the trace, so that the application's own
instrumentation joins by either. WSGI applications run in contexts of their own, and join by the header.

Not in the package of the worker: that is imported as a whole before an application is loaded, and this only where it is needed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from opentelemetry.trace import SpanKind, use_span

from channel_layer.protocol.events import Event
from channel_layer.tracing.tracing import Tracing, WebSocketNotes, continued, note_status

Application = Callable[[Event, Callable[[], Awaitable[Event]], Callable[[Event], Awaitable[None]]], Awaitable[Any]]


class RequestSpans:
    """Makes the spans of one worker."""

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing

    def around(self, application: Application) -> Application:
        """An ASGI 3 application that answers as this one, and whose connections have spans."""

        async def run(
            scope: Event, receive: Callable[[], Awaitable[Event]], send: Callable[[Event], Awaitable[None]]
        ) -> None:
            if scope["type"] == "websocket":
                await self._run_websocket(application, scope, receive, send)
                return
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

    async def _run_websocket(
        self,
        application: Application,
        scope: Event,
        receive: Callable[[], Awaitable[Event]],
        send: Callable[[Event], Awaitable[None]],
    ) -> None:
        span = self._tracing.start(SpanKind.INTERNAL, scope)
        scope["headers"] = continued(scope["headers"], span)
        notes = WebSocketNotes(span)
        if scope.get("extensions", {}).get("towpath.resume"):
            span.set_attribute("towpath.resumed", True)

        async def receive_noted() -> Event:
            event = await receive()
            if event["type"] == "websocket.disconnect":
                notes.closed(event["code"])
            return event

        async def send_noted(event: Event) -> None:
            await send(event)  # first: what it refuses was not sent
            notes.sent(event)

        with use_span(span, end_on_exit=True):
            await application(scope, receive_noted, send_noted)

    def close(self) -> None:
        """Send what is left."""
        self._tracing.close()
