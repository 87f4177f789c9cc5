"""The answer to a WebSocket's handshake, written to its stream: a 101, the application's denial, or a refusal of ours."""

from __future__ import annotations

from channel_layer.protocol.events import Event
from interface_server.http.response import InvalidResponse
from interface_server.transport.byte_stream import ByteStream
from interface_server.websocket.frame_parser import Deflate, negotiate_deflate
from interface_server.websocket.handshake import Handshake
from interface_server.websocket.registry import WebSocketRegistry
from interface_server.websocket.termination import Termination


class Opening:
    """One handshake, until it is answered. What it means for the connection, the connection decides."""

    __slots__ = ("_context", "_handshake", "_stream")

    def __init__(self, scope: Event, stream: ByteStream, registry: WebSocketRegistry) -> None:
        self._context = context = registry.context
        self._handshake = Handshake(scope, context.default_headers, registry.encode_denial)
        self._stream = stream

    @property
    def begun(self) -> bool:
        """True if a part of a denial is written."""
        return self._handshake.begun

    def check(self, scope: Event) -> None:
        """Judge the head, and complete the scope with its subprotocols. Raises BadHandshake."""
        scope["subprotocols"] = self._handshake.check(scope["headers"])

    def accept(self, event: Event) -> Deflate | None:
        """Write the 101; the compression that was agreed upon. Raises InvalidResponse, with nothing written."""
        handshake, agreed = self._handshake, None
        if self._context.settings.ws_per_message_deflate and handshake.offer.extensions:
            agreed = negotiate_deflate(handshake.offer.extensions)
        deflate, extension = agreed or (None, "")
        self._stream.write(handshake.accept(event, extension))
        self._log(101)
        return deflate

    def deny(self, event: Event) -> bool:
        """Write a part of the application's own response, whose head leaves with the first part of its body. True: it is complete.

        Raises InvalidResponse, KeyError, TypeError or ValueError where it is none.
        """
        handshake = self._handshake
        data = handshake.deny(event)
        if data:
            self._stream.write(data)
        if handshake.fault:
            raise InvalidResponse(f"a denial response {handshake.fault}")
        if handshake.over:
            self._log(handshake.status)
        return handshake.over

    def refuse(self, how: Termination) -> None:
        """Answer by ourselves."""
        self._context.counters[f"refused.websocket_{how.status}"] += 1
        self._stream.write(self._handshake.refuse(how.status, how.why, how.field_line))
        self._log(how.status, how.why)

    def _log(self, status: int, why: str = "") -> None:
        """One line, if lines are wanted. why: of an answer of our own."""
        access_log = self._context.access_log
        if access_log.enabled:
            access_log.line(self._handshake.client, "GET", self._handshake.target, "1.1", status, why)
