"""Writes the answer to a WebSocket's handshake: a 101, the application's denial, or the server's refusal."""

from __future__ import annotations

import time

from channel_layer.protocol.events import Event
from interface_server.access_log.entry import AccessEntry
from interface_server.connections.interfaces import Upstream
from interface_server.http.response_head import Fields, InvalidResponse
from interface_server.transport.byte_stream import ByteStream
from interface_server.websocket.deflate import Deflate, negotiate_deflate
from interface_server.websocket.handshake import Handshake
from interface_server.websocket.registry import WebSocketRegistry
from interface_server.websocket.termination import Termination


class Opening:
    """One handshake, until it is answered. The connection decides which answer."""

    __slots__ = ("_context", "_entry", "_handshake", "_stream")

    def __init__(self, scope: Event, stream: ByteStream, registry: WebSocketRegistry) -> None:
        self._context = context = registry.context
        self._handshake = handshake = Handshake(scope, context.default_headers, registry.encode_denial)
        self._stream = stream
        self._entry: AccessEntry | None = None  # for an access log that is measured
        if context.access_writer is not None:
            self._entry = AccessEntry(
                client=handshake.client,
                method="GET",
                target=handshake.target,
                version="1.1",
                fields=scope["headers"],
                begun_s=time.monotonic(),
            )

    def opened(self, upstream: Upstream) -> None:
        """Note the connection, for a log that is measured."""
        if self._entry is not None:
            self._entry.connection = upstream.channel

    @property
    def begun(self) -> bool:
        """True if part of a denial response is written."""
        return self._handshake.begun

    def check(self, scope: Event) -> None:
        """Check the head, and add its subprotocols to the scope. Raises BadHandshake."""
        scope["subprotocols"] = self._handshake.check(scope["headers"])

    def accept(self, event: Event) -> Deflate | None:
        """Write the 101 and return the negotiated compression. Raises InvalidResponse before anything is written."""
        handshake, agreed = self._handshake, None
        if self._context.settings.ws_per_message_deflate and handshake.offer.extensions:
            agreed = negotiate_deflate(handshake.offer.extensions)
        deflate, extension = agreed or (None, "")
        self._stream.write(handshake.accept(event, extension))
        self._log(101, fields=event.get("headers") or ())
        return deflate

    def deny(self, event: Event) -> bool:
        """Write a part of the application's response; its head is sent with the first part of the body. True if it is complete.

        Raises InvalidResponse, KeyError, TypeError or ValueError if the event is not valid.
        """
        handshake = self._handshake
        data = handshake.deny(event)
        if self._entry is not None:
            self._entry.body_bytes += len(event.get("body", b""))
        if data:
            self._stream.write(data)
        if handshake.fault:
            raise InvalidResponse(f"a denial response {handshake.fault}")
        if handshake.over:
            self._log(handshake.status, fields=handshake.fields)
        return handshake.over

    def refuse(self, how: Termination) -> None:
        """Write a response of the server's own."""
        self._context.counters[f"refused.websocket_{how.status}"] += 1
        self._stream.write(self._handshake.refuse(how.status, how.why, how.field_line))
        self._log(how.status, how.why)

    def _log(self, status: int, why: str = "", fields: Fields = ()) -> None:
        """Write an access log line. why: of a response of the server's own. fields: of the application's."""
        context, entry = self._context, self._entry
        if entry is not None and context.access_writer is not None:
            entry.status, entry.why, entry.response_fields = status, why, fields
            if why:
                entry.body_bytes = len(why.encode()) + 1
            context.access_writer.write(entry)
        elif context.access_log.enabled:
            context.access_log.line(self._handshake.client, "GET", self._handshake.target, "1.1", status, why)
