"""Server-sent events: responses into which others than their application may write, and that may end in the middle.

An `EventSource` reconnects by itself when its response ends, and sends the id of the last event that it has received; it drops an
incomplete event at the end. No other client is known to do so: a `fetch` that reads the same media type by POST would take the
end for the end. A worker that shuts down ends such responses, and so does an interface server: both check here.

What groups and third parties send is written between two parts of the body. So the application has to send whole events in each part,
and nothing may have encoded the body. Source: HTML Living Standard, "Server-sent events".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from channel_layer.protocol.events import Event

MEDIA_TYPE: Final = b"text/event-stream"


def resumes_by_itself(scope: Event, start: Event) -> bool:
    """True if the client of this exchange will reconnect with `Last-Event-ID`. start: the `http.response.start` that it was sent."""
    if scope["method"] != "GET" or not any(MEDIA_TYPE in value for value in _values(scope["headers"], b"accept")):
        return False
    return is_event_stream(start["headers"])


def is_event_stream(fields: Iterable[Sequence[bytes]]) -> bool:
    """True if a response with these fields is an event stream of any length."""
    if any(_values(fields, b"content-length")):
        return False
    return any(value.lstrip().startswith(MEDIA_TYPE) for value in _values(fields, b"content-type"))


def takes_events(fields: Iterable[Sequence[bytes]]) -> bool:
    """True if an event that another process sends may be written into a response with these fields."""
    return is_event_stream(fields) and not any(value != b"identity" for value in _values(fields, b"content-encoding"))


def _values(fields: Iterable[Sequence[bytes]], name: bytes) -> list[bytes]:
    return [value.lower() for key, value in fields if key.lower() == name]
