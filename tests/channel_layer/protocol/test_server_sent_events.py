"""Whose response may be ended in the middle: nobody's who would take that for the end."""

from __future__ import annotations

import pytest

from channel_layer.protocol.server_sent_events import resumes_by_itself, takes_events

ACCEPT = (b"accept", b"text/event-stream")
TYPE = (b"content-type", b"text/event-stream; charset=utf-8")


def asked(*fields: tuple[bytes, bytes], method: str = "GET") -> dict:
    return {"type": "http", "method": method, "headers": list(fields)}


def begun(*fields: tuple[bytes, bytes]) -> dict:
    return {"type": "http.response.start", "status": 200, "headers": list(fields)}


@pytest.mark.parametrize(
    ("scope", "start", "expected"),
    [
        (asked(ACCEPT), begun(TYPE), True),
        (asked((b"accept", b"*/*"), (b"accept", b"Text/Event-Stream, */*;q=0.1")), begun((b"Content-Type", TYPE[1])), True),
        (asked(ACCEPT, method="POST"), begun(TYPE), False),
        (asked((b"accept", b"*/*")), begun(TYPE), False),
        (asked(ACCEPT), begun((b"content-type", b"application/json")), False),
        (asked(ACCEPT), begun(TYPE, (b"content-length", b"1000")), False),
        (asked(ACCEPT), begun(), False),
    ],
)  # fmt: skip
def test_only_an_event_source_goes_on_by_itself(scope: dict, start: dict, expected: bool) -> None:
    """P7. Asked for by GET, with its media type on both sides, and of no length that would then be missed."""
    assert resumes_by_itself(scope, start) is expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([TYPE], True),
        ([(b"Content-Type", b" Text/Event-Stream"), (b"content-encoding", b"identity")], True),
        ([TYPE, (b"Content-Encoding", b"gzip")], False),
        ([TYPE, (b"content-length", b"1000")], False),
        ([(b"content-type", b"text/plain")], False),
        ([], False),
    ],
)
def test_others_write_only_into_an_event_stream_that_is_not_encoded(fields: list, expected: bool) -> None:
    """P10, P12. Plain bytes within compressed ones would break them."""
    assert takes_events(fields) is expected
