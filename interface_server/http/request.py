"""A request: its head after the check (what an application hears of it, and how to serve it), and its body as events.

Each version of HTTP has its own check (`http1/head.py`); what it lets pass becomes a `Head`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from channel_layer.protocol.codec import pack
from channel_layer.protocol.events import EVENT_OVERHEAD_BYTES, Event
from channel_layer.protocol.scope import Piece
from interface_server.http.errors import RequestError

Fields = Sequence[tuple[bytes, bytes]]

PART_SIZE_BYTES_MAX = 64 * 1024  #: of a request's body in one event


class Head:
    """One checked head. What an application hears of it is in the first lines, how to serve it in the last.

    Nobody changes a head once it is checked: equal requests share one.
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
    scope: Event  #: what the application hears, as far as the head says it; copied for each request
    piece: Piece  #: what the first line says of it, packed
    semantic_fields: dict[
        bytes, bytes
    ]  #: the SEMANTIC_FIELDS fields that were there, but a Host that stands alone; repeated ones joined
    keep_alive: bool  #: the client would send another request after this one
    fast_path: bool  #: the response needs nothing special: HTTP/1.1, not HEAD, and the connection stays
    length_bytes: int | None  #: of the body; None: chunked
    expects_continue: bool
    upgrade: bool  #: the client asks for WebSocket; other protocols are not spoken here, and not heard of


@lru_cache(maxsize=256)
def line_scope(method: bytes, origin: bytes, version: str) -> tuple[Event, Piece]:
    """What the first line says to the application. Remembered for many heads: to be copied, and never to be changed."""
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
    """`body` as `http.request` events with their sizes; at least one. more: the body goes on behind it."""
    while True:
        part, body = body[:PART_SIZE_BYTES_MAX], body[PART_SIZE_BYTES_MAX:]
        yield {"type": "http.request", "body": part, "more_body": more or bool(body)}, len(part) + EVENT_OVERHEAD_BYTES
        if not body:
            return
