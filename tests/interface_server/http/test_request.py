"""What the first line of a request says to the application."""

from __future__ import annotations

import pytest

from channel_layer.protocol.codec import unpack
from channel_layer.protocol.events import payload_size_bytes
from interface_server.http.answers import RequestError
from interface_server.http.request import PART_SIZE_BYTES_MAX, body_events, line_scope


def test_a_path_is_decoded_and_also_kept_as_it_came():
    scope, piece = line_scope(b"GET", b"/%C3%A4/b%2Fc?d=%20", "1.1")
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/\xe4/b/c", b"/%C3%A4/b%2Fc", b"d=%20")
    assert unpack(piece) == scope


def test_bytes_that_are_no_text_are_replaced():
    assert line_scope(b"GET", b"/%FF", "1.1")[0]["path"] == "/\N{REPLACEMENT CHARACTER}"


def test_a_fragment_is_refused():
    """P12. RFC 9112, 3.2: it is never sent; two servers could cut the target in two ways."""
    with pytest.raises(RequestError) as refused:
        line_scope(b"GET", b"/a#b", "1.1")
    assert refused.value.status == 400


@pytest.mark.parametrize("size", [0, 1, PART_SIZE_BYTES_MAX, PART_SIZE_BYTES_MAX + 1, 3 * PART_SIZE_BYTES_MAX])
@pytest.mark.parametrize("more", [True, False])
def test_a_body_is_as_many_events_as_it_needs_and_the_last_one_ends_it(size: int, more: bool):
    """P5. Each counts with its overhead, as the window of the application does."""
    body = bytes(range(256)) * (size // 256) + bytes(size % 256)
    events = list(body_events(body, more))
    assert len(events) == max(1, -(-size // PART_SIZE_BYTES_MAX))
    assert b"".join(event["body"] for event, _ in events) == body
    assert [event["more_body"] for event, _ in events] == [True] * (len(events) - 1) + [more]
    assert all(size_bytes == payload_size_bytes(event) for event, size_bytes in events)
