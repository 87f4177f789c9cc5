"""Messages into frames, in parts and whole."""

from __future__ import annotations

from interface_server.groups.interfaces import PushedMessage
from interface_server.websocket.frames import CONTINUATION, FIN, TEXT
from interface_server.websocket.message_encoder import MessageEncoder


def parsed(data: bytes) -> tuple[int, bytes]:
    """First byte and payload of the only frame in `data`."""
    first, size = data[0], data[1]
    start = {126: 4, 127: 10}.get(size, 2)
    length = size if size < 126 else int.from_bytes(data[2:start], "big")
    assert len(data) == start + length
    return first, data[start:]


def test_a_message_in_parts_is_one_message_and_what_third_parties_send_waits_for_its_end() -> None:
    encoder = MessageEncoder()
    assert parsed(encoder.encode({"text": "to", "more_body": True})) == (TEXT, b"to")
    encoder.hold(pushed := PushedMessage({"type": "websocket.send", "text": "12345"}))
    assert encoder.waiting_bytes == 5 + 64  # as everywhere: an empty message takes its place too
    assert parsed(encoder.encode({"text": "w", "more_body": True})) == (CONTINUATION, b"w")
    assert parsed(encoder.encode({"text": "path"})) == (FIN | CONTINUATION, b"path")
    assert not encoder.inside_message and encoder.take_waiting() == [pushed] and encoder.waiting_bytes == 0
