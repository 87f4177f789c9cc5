"""All connections of one interface server: made here; as long as they speak HTTP swept and sent home here too."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory

from interface_server.http.server_context import ServerContext
from interface_server.http1.connection import HttpProtocol
from interface_server.websocket.connection_base import WebSockets


class HttpFactory(Factory):
    """Makes a protocol for each connection and keeps all deadlines of those that exist."""

    noisy = False

    def __init__(self, context: ServerContext) -> None:
        self.context = context
        #: Those that speak HTTP; whoever became a WebSocket has left.
        self.connections: set[HttpProtocol] = set()
        #: Those whose socket is not read at present, so that nobody would hear it close.
        self.unread: set[HttpProtocol] = set()
        #: Those connections of whose request's body more is to come, and when the last of it came.
        self.uploading: dict[Any, float] = {}
        context.sweep.add(self._sweep)
        self.websockets = WebSockets(context)

    def buildProtocol(self, addr: IAddress | None) -> HttpProtocol:
        return HttpProtocol(self)

    def drain(self) -> bool:
        """Keep no connection any longer than its exchange: idle ones are closed now, the others say `close`.

        True: new ones are left, whose first request may be on its way. Call it again.
        """
        self.context.draining = True
        new = [connection for connection in tuple(self.connections) if connection.close_if_idle()]
        return bool(new)

    def event_streams(self) -> list[HttpProtocol]:
        """Those whose response may be ended in the middle, by `evict`."""
        return [connection for connection in self.connections if connection.is_event_stream()]

    def abort_all(self) -> None:
        """Cut off whatever is left: the time to finish is over. Each exchange under way is left."""
        for connection in tuple(self.connections):
            connection.cut_off()

    def _sweep(self, now: float) -> None:
        for connection in [each for each in self.connections if each.deadline < now]:
            connection.late(now)
        for connection in [each for each in self.unread if each.transport.hung_up()]:
            connection.hung_up()
        if self.context.settings.body_timeout_s:
            since = now - self.context.settings.body_timeout_s - self.context.sweep.period_s
            for connection in [each for each, heard in self.uploading.items() if heard < since]:
                connection.body_late(now)
