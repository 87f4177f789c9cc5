"""Server-sent events: the one kind of response that may be ended in the middle, because its client then goes on where it was.

An `EventSource` whose response ends comes again by itself, and says the id of the last event that it has seen; half an event at
the end it forgets. That is known of nobody else: a `fetch` that reads the same media type by POST would take the end for the end.
A worker that leaves ends such responses, and an interface server that leaves does: each asks here.
Source: HTML Living Standard, "Server-sent events".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from channel_layer.protocol.events import Event

MEDIA_TYPE = b"text/event-stream"


def resumes_by_itself(scope: Event, start: Event) -> bool:
    """Will the client of this exchange come again with `Last-Event-ID`? start: the `http.response.start` that it was given."""
    if scope["method"] != "GET" or not any(MEDIA_TYPE in value for value in _values(scope["headers"], b"accept")):
        return False
    fields = start["headers"]
    if any(_values(fields, b"content-length")):
        return False
    return any(value.lstrip().startswith(MEDIA_TYPE) for value in _values(fields, b"content-type"))


def _values(fields: Iterable[Sequence[bytes]], name: bytes) -> list[bytes]:
    return [value.lower() for key, value in fields if key.lower() == name]
