"""Frames as bytes: lengths, messages, and the close frame."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interface_server.websocket.frames import (
    BINARY,
    CLOSE,
    FIN,
    TEXT,
    BadFrame,
    close_frame,
    frame,
    message_frame,
    parse_close,
)
from interface_server.websocket.message_encoder import MessageEncoder


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
        MessageEncoder().encode(event)


@given(st.text(max_size=200))
def test_a_close_reason_is_cut_at_a_character_and_never_above_what_a_control_frame_carries(reason: str) -> None:
    first, payload = parsed(close_frame(1000, reason))
    assert first == FIN | CLOSE and len(payload) <= 125 and payload[:2] == b"\x03\xe8"
    payload[2:].decode()


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999])
def test_a_legal_close_code_is_answered_by_itself_and_reaches_the_application(code: int) -> None:
    assert parse_close(code.to_bytes(2, "big") + "früh".encode()) == (code, code, "früh")


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535])
def test_an_illegal_close_code_is_a_protocol_error(code: int) -> None:
    with pytest.raises(BadFrame) as bad:
        parse_close(code.to_bytes(2, "big"))
    assert bad.value.code == 1002


def test_a_close_without_a_code_is_1005_to_the_application() -> None:
    assert parse_close(b"") == (None, 1005, "")
    with pytest.raises(BadFrame) as bad:
        parse_close(b"\x03\xe8\xff")
    assert bad.value.code == 1007
