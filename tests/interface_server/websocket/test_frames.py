"""Frames as bytes: lengths, messages, and the close frame."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interface_server.websocket.frames import BINARY, CLOSE, FIN, TEXT, close_frame, frame, message_frame
from interface_server.websocket.message_encoder import Composer


def parsed(data: bytes) -> tuple[int, bytes]:
    """First byte and payload of the only frame in `data`."""
    first, size = data[0], data[1]
    start = {126: 4, 127: 10}.get(size, 2)
    length = size if size < 126 else int.from_bytes(data[2:start], "big")
    assert len(data) == start + length
    return first, data[start:]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536])
def test_a_frame_says_its_length_in_the_shortest_of_the_three_forms(size: int) -> None:
    assert parsed(frame(FIN | BINARY, bytes(size))) == (FIN | BINARY, bytes(size))
    assert parsed(message_frame({"bytes": bytes(size)})) == (FIN | BINARY, bytes(size))
    assert parsed(message_frame({"text": "x" * size})) == (FIN | TEXT, b"x" * size)


@pytest.mark.parametrize(
    "event", [{}, {"text": None}, {"text": 5}, {"bytes": "text"}, {"text": "\ud800"}, {"bytes": 7}]
)
def test_what_is_no_message_raises_before_anything_is_written(event: dict[str, object]) -> None:
    """P12."""
    with pytest.raises((TypeError, ValueError, AttributeError)):
        message_frame(event)
    with pytest.raises((TypeError, ValueError, AttributeError)):
        Composer().compose(event)


@given(st.text(max_size=200))
def test_a_close_reason_is_cut_at_a_character_and_never_above_what_a_control_frame_carries(reason: str) -> None:
    first, payload = parsed(close_frame(1000, reason))
    assert first == FIN | CLOSE and len(payload) <= 125 and payload[:2] == b"\x03\xe8"
    payload[2:].decode()
