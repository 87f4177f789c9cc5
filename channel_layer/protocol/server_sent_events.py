"""Server-sent events: responses that may end in the middle, since their clients then resume.

An `EventSource` reconnects by itself when its response ends, and sends the id of the last event that it has received; it drops an
incomplete event at the end. No other client is known to do so: a `fetch` that reads the same media type by POST would take the
end for the end. A worker that shuts down ends such responses, and so does an interface server: both check here. Source: HTML Living
Standard, "Server-sent events".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from channel_layer.protocol.events import Event

MEDIA_TYPE = b"text/event-stream"


def resumes_by_itself(scope: Event, start: Event) -> bool:
    """True if the client of this exchange will reconnect with `Last-Event-ID`. start: the `http.response.start` that it was sent."""
    if scope["method"] != "GET" or not any(MEDIA_TYPE in value for value in _values(scope["headers"], b"accept")):
        return False
    fields = start["headers"]
    if any(_values(fields, b"content-length")):
        return False
    return any(value.lstrip().startswith(MEDIA_TYPE) for value in _values(fields, b"content-type"))


def _values(fields: Iterable[Sequence[bytes]], name: bytes) -> list[bytes]:
    return [value.lower() for key, value in fields if key.lower() == name]
