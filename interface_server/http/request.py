"""A request: its checked head, and its body as events.

The head tells what the application gets, and how to serve the request. Each version of HTTP has its own check
(`http1/head.py`); a request that passes becomes a `Head`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

from channel_layer.protocol.codec import pack
from channel_layer.protocol.events import EVENT_OVERHEAD_BYTES, Event
from channel_layer.protocol.scope import Piece
from interface_server.http.answers import RequestError

Fields = Sequence[tuple[bytes, bytes]]

PART_SIZE_BYTES_MAX: Final = 64 * 1024  #: of a request's body in one event


class Head:
    """One checked head: first its scope for the application, then how to serve it.

    A head never changes after its check: equal requests share one.
    """

    __slots__ = (
        "expects_continue",
        "fast_path",
        "keep_alive",
        "length_bytes",
        "method",
        "path",
        "piece",
        "scope",
        "semantic_fields",
        "target",
        "upgrade",
        "version",
    )

    method: str
    target: bytes  #: as it came
    path: str  #: decoded
    version: str  #: "1.0" or "1.1"
    scope: Event  #: the scope of the head for the application; copied for each request
    piece: Piece  #: the part of it from the first line, packed
    #: The SEMANTIC_FIELDS fields of the request, repeated ones joined. Left empty where Host and `Connection: keep-alive` are all.
    semantic_fields: dict[bytes, bytes]
    keep_alive: bool  #: the client would send another request after this one
    fast_path: bool  #: the response needs nothing special: HTTP/1.1, not HEAD, and the connection stays
    length_bytes: int | None  #: of the body; None: chunked
    expects_continue: bool
    upgrade: bool  #: the client asks for WebSocket; no other protocol is known here

    def __str__(self) -> str:
        """Method and target, for log lines."""
        return f"{self.method} {self.target.decode('latin-1')}"


@lru_cache(maxsize=256)
def line_scope(method: bytes, origin: bytes, version: str) -> tuple[Event, Piece]:
    """The part of the scope that comes from the first line. Remembered for many heads: copy it, never change it."""
    if b"#" in origin:
        raise RequestError(400, "a fragment has no place in a request", "target")
    raw_path, _, query_string = origin.partition(b"?")
    decoded = unquote_to_bytes(raw_path) if b"%" in raw_path else raw_path
    scope: Event = {
        "type": "http",
        "http_version": version,
        "method": method.decode(),
        "path": decoded.decode("utf-8", "replace"),
        "raw_path": raw_path,
        "query_string": query_string,
        "root_path": "",
    }
    return scope, pack(scope)


def body_events(body: bytes, more: bool) -> Iterator[tuple[Event, int]]:
    """`body` as `http.request` events with their sizes; at least one. more: the body continues after it."""
    while True:
        part, body = body[:PART_SIZE_BYTES_MAX], body[PART_SIZE_BYTES_MAX:]
        yield {"type": "http.request", "body": part, "more_body": more or bool(body)}, len(part) + EVENT_OVERHEAD_BYTES
        if not body:
            return
