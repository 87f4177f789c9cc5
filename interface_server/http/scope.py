"""Builds the ASGI scope of a checked head, with the client that trusted proxies report.

No I/O here. ASGI specification, "HTTP connection scope" and "WebSocket connection scope"; the worker adds `asgi`,
`extensions` and `state`. As for uvicorn's `--root-path`, the path starts with the root path.
"""

from __future__ import annotations

from channel_layer.protocol.codec import pack
from channel_layer.protocol.events import Event
from channel_layer.protocol.scope import REMEMBERED_SIZE_BYTES_MAX, Piece, Scope
from interface_server.http.proxy_headers import TrustedPeers
from interface_server.http.request import Fields, Head

Peer = tuple[str, int] | None


class ScopeBuilder:
    """Builds the scopes of the requests of one connection.

    A client that repeats a request, with the same fields, gets the same scope again.
    """

    __slots__ = ("_fields", "_head", "_scope", "client", "piece", "root_path", "server", "trusted")

    def __init__(
        self,
        client: Peer,
        server: tuple[str, int | None] | None,
        root_path: str = "",
        trusted: TrustedPeers | None = None,
    ) -> None:
        """trusted: the proxies whose header fields are believed, or None. This peer is compared with them once, here."""
        self.client = client
        self.server = server
        self.root_path = root_path
        self.trusted = trusted if trusted and trusted.trusts(client[0] if client else None) else None
        self.piece = pack(self._facts())
        self._head: Head | None = None  # of the last request, if it is small enough to remember
        self._fields: Fields = ()
        self._scope: Scope | None = None

    def scope(self, head: Head, fields: Fields) -> Scope:
        """The scope of an HTTP request."""
        last = self._scope
        if last is not None and head is self._head and fields == self._fields:
            return last
        line, line_piece = (head.scope, head.piece) if not self.root_path else self._under_root(head.scope)
        facts, facts_piece = self._facts(), self.piece
        if self.trusted is not None and head.semantic_fields:
            _apply_proxy_headers(facts, head.semantic_fields, self.trusted)
            facts_piece = pack(facts)
        headers = {"headers": fields}
        headers_piece = pack(headers)
        scope = Scope({**line, **headers, **facts}, [line_piece, headers_piece, facts_piece])
        if len(headers_piece) <= REMEMBERED_SIZE_BYTES_MAX:
            self._head, self._fields, self._scope = head, fields, scope
        return scope

    def _facts(self) -> Event:
        return {"scheme": "http", "client": self.client, "server": self.server}

    def _under_root(self, line: Event) -> tuple[Event, Piece]:
        root = self.root_path
        path, raw_path = root + line["path"], root.encode() + line["raw_path"]
        under = {**line, "root_path": root, "path": path, "raw_path": raw_path}
        return under, pack(under)


def websocket_scope(scope: Event) -> Event:
    """Turn the scope of an HTTP request into that of a WebSocket handshake; the caller adds the subprotocols."""
    websocket = {key: value for key, value in scope.items() if key != "method"}
    websocket["type"] = "websocket"
    websocket["scheme"] = "wss" if scope["scheme"] == "https" else "ws"
    return websocket


def _apply_proxy_headers(scope: Event, semantic_fields: dict[bytes, bytes], trusted: TrustedPeers) -> None:
    forwarded_for = semantic_fields.get(b"x-forwarded-for")
    if forwarded_for is not None:
        scope["client"] = trusted.client_behind(forwarded_for) or scope["client"]
    proto = semantic_fields.get(b"x-forwarded-proto")
    if proto is not None:
        scope["scheme"] = trusted.scheme(proto) or scope["scheme"]
