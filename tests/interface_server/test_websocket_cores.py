"""What is decided about WebSockets without a socket: frames, heads, states, deadlines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interface_server.connections.interfaces import PushedMessage
from interface_server.http.response import InvalidResponse
from interface_server.websocket.deadlines import Deadlines
from interface_server.websocket.frames import BINARY, CLOSE, CONTINUATION, FIN, TEXT, close_frame, frame, message_frame
from interface_server.websocket.handshake import BadHandshake, accept_token, accepted, check
from interface_server.websocket.message_encoder import Composer
from interface_server.websocket.state import Action, BadFrame, State, heard_close, meaning, push_meaning, sendable_code

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
GOOD = [(b"sec-websocket-version", b"13"), (b"sec-websocket-key", KEY)]


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


def test_a_message_in_parts_is_one_message_and_what_third_parties_send_waits_for_its_end() -> None:
    composer = Composer()
    assert parsed(composer.compose({"text": "to", "more_body": True})) == (TEXT, b"to")
    composer.wait(pushed := PushedMessage({"type": "websocket.send", "text": "12345"}))
    assert composer.waiting_bytes == 5 + 64  # as everywhere: an empty message takes its place too
    assert parsed(composer.compose({"text": "w", "more_body": True})) == (CONTINUATION, b"w")
    assert parsed(composer.compose({"text": "path"})) == (FIN | CONTINUATION, b"path")
    assert not composer.inside_message and composer.take_waiting() == [pushed] and composer.waiting_bytes == 0


def test_the_accept_token_is_that_of_the_rfc() -> None:
    """RFC 6455, section 1.3."""
    assert accept_token(KEY) == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_a_good_head_gives_its_subprotocols_in_order_from_all_its_lines() -> None:
    offer = check([*GOOD, (b"sec-websocket-protocol", b"a, b"), (b"sec-websocket-protocol", b" c ,")])
    assert (offer.key, offer.subprotocols, offer.extensions) == (KEY, ["a", "b", "c"], b"")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (GOOD[1:], 426),
        ([(b"sec-websocket-version", b"12"), GOOD[1]], 426),
        ([(b"sec-websocket-version", b"13"), *GOOD], 426),
        (GOOD[:1], 400),
        ([GOOD[0], (b"sec-websocket-key", b"AAAA")], 400),
        ([GOOD[0], (b"sec-websocket-key", KEY[:-2])], 400),
        ([GOOD[0], (b"sec-websocket-key", b"*" + KEY[1:])], 400),
        ([*GOOD, GOOD[1]], 400),
        ([*GOOD, (b"sec-websocket-protocol", b"a b")], 400),
    ],
)
def test_a_head_that_is_no_websocket_of_ours_is_refused(headers: list[tuple[bytes, bytes]], status: int) -> None:
    """P12."""
    with pytest.raises(BadHandshake) as refusal:
        check(headers)
    assert refusal.value.status == status
    assert (b"sec-websocket-version: 13" in refusal.value.field) == (status == 426)


def test_the_101_carries_the_applications_headers_but_not_its_framing() -> None:
    head = accepted(
        KEY, "chat", [(b"set-cookie", b"a=b"), (b"Connection", b"close"), (b"sec-websocket-protocol", b"x")]
    )
    lines = head.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 101 Switching Protocols" and lines[-2:] == [b"", b""]
    assert b"sec-websocket-protocol: chat" in lines and b"set-cookie: a=b" in lines
    assert b"Connection: close" not in lines and b"sec-websocket-protocol: x" not in lines


@pytest.mark.parametrize(
    ("subprotocol", "headers"),
    [
        ("a\r\nb: c", ()),
        ("", ()),
        ("ü", ()),
        (None, [(b"a", b"b\r\nc: d")]),
        (None, [(b"a", b"b\nc")]),
        (None, [(b"a", b"\0")]),
        (None, [(b"a b", b"c")]),
        (None, [(b"", b"c")]),
    ],
)
def test_no_word_of_the_application_breaks_the_head(
    subprotocol: str | None, headers: list[tuple[bytes, bytes]]
) -> None:
    """P12. What would be read as more than one head never becomes bytes."""
    with pytest.raises(InvalidResponse):
        accepted(KEY, subprotocol, headers)


def test_each_event_has_a_meaning_in_each_state() -> None:
    """What is illegal is the application's fault; what is late is ordinary, and moves nothing."""
    assert meaning(State.CONNECTING, "websocket.send") is Action.BREAK
    assert meaning(State.OPEN, "websocket.accept") is Action.SWALLOW
    assert meaning(State.OPEN, "http.response.body") is Action.BREAK
    assert meaning(State.DENYING, "websocket.accept") is Action.BREAK
    for state in (State.CLOSING, State.DRAINING, State.CLOSED):
        assert meaning(state, "websocket.send") is Action.LATE
    for state in State:
        expected = Action.SEND if state is State.OPEN else Action.LATE
        assert push_meaning(state, "websocket.send") is expected
        assert push_meaning(state, None) is Action.LATE


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999])
def test_a_legal_close_code_is_answered_by_itself_and_reaches_the_application(code: int) -> None:
    assert heard_close(code.to_bytes(2, "big") + "früh".encode()) == (code, code, "früh")
    assert sendable_code(code) == code


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535])
def test_an_illegal_close_code_is_a_protocol_error(code: int) -> None:
    with pytest.raises(BadFrame) as bad:
        heard_close(code.to_bytes(2, "big"))
    assert bad.value.code == 1002
    assert sendable_code(code) == (1000 if code == 1005 else 1011)


def test_a_close_without_a_code_is_1005_to_the_application() -> None:
    assert heard_close(b"") == (None, 1005, "")
    with pytest.raises(BadFrame) as bad:
        heard_close(b"\x03\xe8\xff")
    assert bad.value.code == 1007


def test_deadlines_come_in_order_and_only_when_due() -> None:
    deadlines: Deadlines[str] = Deadlines(10.0)
    deadlines.arm("a", 0.0)
    deadlines.arm("b", 1.0)
    deadlines.arm("c", 2.0)
    deadlines.arm("a", 3.0)  # heard of again: its old deadline is forgotten
    deadlines.disarm("b")
    assert deadlines.take_due(11.9) == []
    assert deadlines.take_due(12.0) == ["c"]
    assert deadlines.take_due(99.0) == ["a"] and len(deadlines) == 0
