"""What an application hears of a request: the ASGI scope of a checked head, as seen through trusted proxies.

No I/O here. ASGI specification, "HTTP connection scope" and "WebSocket connection scope"; the worker adds `asgi`,
`extensions` and `state`. As for uvicorn's `--root-path`, the path starts with the root path.
"""

from __future__ import annotations

from interface_server.client import Event
from interface_server.http1_head import Head
from interface_server.proxy_headers import TrustedPeers

Peer = tuple[str, int] | None


class Place:
    """Where a connection comes in; the same for all of its requests."""

    __slots__ = ("client", "root_path", "root_path_bytes", "scheme", "server", "trusted")

    def __init__(
        self,
        client: Peer,
        server: tuple[str, int | None] | None,
        scheme: str = "http",
        root_path: str = "",
        trusted: TrustedPeers | None = None,
    ) -> None:
        """trusted: None, or whose word about the client is believed; it is asked for this peer once, here."""
        self.client = client
        self.server = server
        self.scheme = scheme
        self.root_path = root_path
        self.root_path_bytes = root_path.encode("utf-8")
        self.trusted = trusted if trusted and trusted.trusts(client[0] if client else None) else None

    def scope(self, head: Head, fields: list[tuple[bytes, bytes]]) -> Event:
        """The scope of an HTTP request."""
        scope = head.scope.copy()  # and fill the rest in: half the time of putting eleven values together
        scope["scheme"] = self.scheme
        scope["headers"] = fields
        scope["client"] = self.client
        scope["server"] = self.server
        if self.root_path:
            scope["root_path"] = self.root_path
            scope["path"] = self.root_path + scope["path"]
            scope["raw_path"] = self.root_path_bytes + scope["raw_path"]
        if self.trusted is not None and head.heeded:
            _look_behind_proxy(scope, head.heeded, self.trusted)
        return scope


def websocket_scope(scope: Event) -> Event:
    """The scope of an HTTP request, as that of a WebSocket handshake; the subprotocols are still to be added."""
    websocket = {key: value for key, value in scope.items() if key != "method"}
    websocket["type"] = "websocket"
    websocket["scheme"] = "wss" if scope["scheme"] == "https" else "ws"
    return websocket


def _look_behind_proxy(scope: Event, heeded: dict[bytes, bytes], trusted: TrustedPeers) -> None:
    forwarded_for = heeded.get(b"x-forwarded-for")
    if forwarded_for is not None:
        scope["client"] = trusted.client_behind((forwarded_for,)) or scope["client"]
    proto = heeded.get(b"x-forwarded-proto")
    if proto is not None:
        scope["scheme"] = trusted.scheme(proto) or scope["scheme"]
