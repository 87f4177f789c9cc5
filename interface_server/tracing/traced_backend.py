"""Makes a span for each HTTP request and each WebSocket of one interface server.

It stands between the protocol handlers and the dispatcher, as the `Backend` of the ones in front of the other, and both ends of each
connection pass through it. So a server that does not trace pays nothing for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from channel_layer.protocol.close_codes import ABNORMAL
from channel_layer.protocol.events import Event
from channel_layer.protocol.scope import Scope
from channel_layer.tracing.tracing import Tracing, WebSocketNotes, continued, note_status
from interface_server.connections.interfaces import Backend, Client, EndReason, Upstream
from interface_server.groups.interfaces import PushedMessage


class TracedBackend:
    """A `Backend` whose requests and WebSockets have a span, which the worker's continues."""

    def __init__(self, backend: Backend, tracing: Tracing) -> None:
        self._backend = backend
        self._tracing = tracing

    @property
    def ready(self) -> bool:
        """See `Backend.ready`."""
        return self._backend.ready

    def open(
        self, client: Client, scope: Scope, body: bytes, more_body: bool, *, expect_continue: bool = False
    ) -> Upstream:
        """See `Backend.open`."""
        span = self._tracing.start(SpanKind.SERVER, scope.event)
        scope = Scope({**scope.event, "headers": continued(scope.event["headers"], span)})
        if scope.event["type"] == "websocket":
            notes = WebSocketNotes(span)
            opened = self._backend.open(TracedWebSocket(client, span, notes), scope, body, more_body)
            span.set_attribute("towpath.channel", opened.channel)
            return TracedWebSocketUpstream(opened, span, notes)
        traced = TracedClient(client, span)
        upstream = self._backend.open(traced, scope, body, more_body, expect_continue=expect_continue)
        span.set_attribute("towpath.channel", upstream.channel)
        return TracedUpstream(upstream, span)


class TracedClient:
    """A `Client` whose response is noted in its span."""

    __slots__ = ("_client", "_has_begun", "_span")

    def __init__(self, client: Client, span: Span) -> None:
        self._client = client
        self._span = span
        self._has_begun = False

    @property
    def mid_message(self) -> bool:
        """See `Client.mid_message`."""
        return self._client.mid_message

    @property
    def request(self) -> str:
        """See `Client.request`."""
        return self._client.request

    @property
    def last_worker(self) -> str:
        """See `Client.last_worker`."""
        return self._client.last_worker

    @last_worker.setter
    def last_worker(self, name: str) -> None:
        self._client.last_worker = name

    def adopted(self) -> None:
        """See `Client.adopted`."""
        self._client.adopted()

    def deliver(self, events: Sequence[Event], size_bytes: int) -> None:
        """See `Client.deliver`."""
        if events and events[0]["type"] == "http.response.start":
            self._has_begun = True
            note_status(self._span, events[0]["status"])
        self._client.deliver(events, size_bytes)

    def push(self, pushed: PushedMessage) -> None:
        """See `Client.push`."""
        self._client.push(pushed)

    def end(self, end_reason: EndReason) -> None:
        """See `Client.end`."""
        if not self._has_begun:
            note_status(self._span, end_reason.status)
        self._span.set_status(Status(StatusCode.ERROR, end_reason.why))
        self._span.end()
        self._client.end(end_reason)

    def resume(self) -> None:
        """See `Client.resume`."""
        self._client.resume()

    def on_body_requested(self) -> None:
        """See `Client.on_body_requested`."""
        self._client.on_body_requested()


class TracedUpstream:
    """An `Upstream` whose end is that of its span."""

    __slots__ = ("_span", "_upstream")

    def __init__(self, upstream: Upstream, span: Span) -> None:
        self._upstream = upstream
        self._span = span

    @property
    def channel(self) -> str:
        """See `Upstream.channel`."""
        return self._upstream.channel

    @property
    def owned(self) -> bool:
        """See `Upstream.owned`."""
        return self._upstream.owned

    @property
    def may_be_sent_again(self) -> bool:
        """See `Upstream.may_be_sent_again`."""
        return self._upstream.may_be_sent_again

    def forward(self, event: Event, size_bytes: int) -> bool:
        """See `Upstream.forward`."""
        return self._upstream.forward(event, size_bytes)

    def delivered(self, size_bytes: int) -> None:
        """See `Upstream.delivered`."""
        self._upstream.delivered(size_bytes)

    def leave(self, code: int = ABNORMAL, reason: str = "") -> None:
        """See `Upstream.leave`: the client has left, its request is refused, or its response is cut."""
        self._span.set_attribute("error.type", "incomplete")
        self._span.end()
        self._upstream.leave(code, reason)

    def event_stream_began(self) -> None:
        """See `Upstream.event_stream_began`."""
        self._upstream.event_stream_began()

    def complete(self) -> None:
        """See `Upstream.complete`."""
        self._span.end()
        self._upstream.complete()


class TracedWebSocket(TracedClient):
    """A `Client` that is a WebSocket: its answer, its close and its workers are noted in its span."""

    __slots__ = ("_notes",)

    def __init__(self, client: Client, span: Span, notes: WebSocketNotes) -> None:
        TracedClient.__init__(self, client, span)
        self._notes = notes

    def adopted(self) -> None:
        """See `Client.adopted`."""
        self._span.add_event("towpath.adopted")
        self._client.adopted()

    def deliver(self, events: Sequence[Event], size_bytes: int) -> None:
        """See `Client.deliver`."""
        for event in events:
            self._notes.sent(event)
        self._client.deliver(events, size_bytes)

    def end(self, end_reason: EndReason) -> None:
        """See `Client.end`."""
        if self._notes.is_open:
            self._notes.closed(end_reason.close_code)
        elif not self._notes.is_answered:
            self._notes.answered(end_reason.status)
        self._span.set_status(Status(StatusCode.ERROR, end_reason.why))
        self._span.end()
        self._client.end(end_reason)


class TracedWebSocketUpstream(TracedUpstream):
    """An `Upstream` of a WebSocket: it is left at each end but those that the dispatcher reports."""

    __slots__ = ("_notes",)

    def __init__(self, upstream: Upstream, span: Span, notes: WebSocketNotes) -> None:
        TracedUpstream.__init__(self, upstream, span)
        self._notes = notes

    def leave(self, code: int = ABNORMAL, reason: str = "") -> None:
        """See `Upstream.leave`."""
        if code == ABNORMAL and (self._notes.is_open or not self._notes.is_answered):
            self._span.set_attribute("error.type", "incomplete")
        self._notes.closed(code)
        self._span.end()
        self._upstream.leave(code, reason)
