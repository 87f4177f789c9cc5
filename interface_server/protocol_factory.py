"""Makes the protocol of each accepted connection: HTTP first, and WebSocket where a request asks for it."""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory

from interface_server.http.server_context import ServerContext
from interface_server.http1.connection import Http1Connection
from interface_server.http1.registry import Http1Registry
from interface_server.websocket.connection import upgrade
from interface_server.websocket.registry import WebSocketRegistry


class ProtocolFactory(Factory):
    """Makes a protocol for each connection; all connections are in its two registries."""

    noisy = False

    def __init__(self, context: ServerContext) -> None:
        self.http1 = Http1Registry(context)
        self.websockets = WebSocketRegistry(context, self.http1.encode_denial)
        self._on_upgrade = partial(upgrade, registry=self.websockets)

    def buildProtocol(self, addr: IAddress | None) -> Any:  # Twisted asks for a class of its own; any IProtocol will do
        return Http1Connection(self.http1, self._on_upgrade)
