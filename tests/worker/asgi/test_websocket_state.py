"""WebSockets as an application answers them: which events are legal when, and how they are checked, copied and cut."""

from __future__ import annotations

import pytest

from channel_layer.protocol.illegal_move import IllegalMove
from worker.asgi.http_state import PART_SIZE_BYTES_MAX
from worker.asgi.websocket_state import (
    ASKED,
    CLOSED,
    CONNECTING,
    DENYING,
    GONE,
    NOT_ASKED,
    OPEN,
    SENT,
    STATE_SIZE_BYTES_MAX,
    WebSocketStage,
    check_offered,
    disconnect_step,
    hand_off_step,
    message_parts,
    websocket_step,
)
from worker.errors import ClientGone, InvalidEvent, WrongOrder

ACCEPT = {"type": "websocket.accept"}
SEND = {"type": "websocket.send", "text": "hello"}
CLOSE = {"type": "websocket.close"}
DENY = {"type": "websocket.http.response.start", "status": 403}
DENY_MORE = {"type": "websocket.http.response.body", "body": b"no", "more_body": True}
DENY_LAST = {"type": "websocket.http.response.body", "body": b"!"}
STATE = {"type": "towpath.state", "state": {"room": "lock"}}


@pytest.mark.parametrize(
    ("events", "stages"),
    [
        ((ACCEPT, SEND, STATE, CLOSE), (OPEN, OPEN, OPEN, CLOSED)),
        ((CLOSE,), (CLOSED,)),
        ((DENY, DENY_MORE, DENY_LAST), (DENYING, DENYING, CLOSED)),
    ],
    ids=["accepted", "rejected", "denied"],
)
def test_a_handshake_has_three_outcomes(events: tuple[dict, ...], stages: tuple[WebSocketStage, ...]) -> None:
    stage = CONNECTING
    for event, expected in zip(events, stages, strict=True):
        checked, _, stage = websocket_step(stage, event)
        assert checked["type"] == event["type"]
        assert stage is expected


LEGAL = {
    CONNECTING: ("websocket.accept", "websocket.close", "websocket.http.response.start"),
    OPEN: ("websocket.send", "websocket.close", "towpath.state"),
    DENYING: ("websocket.http.response.body",),
    CLOSED: (),
}


@pytest.mark.parametrize("event", [ACCEPT, SEND, CLOSE, DENY, DENY_LAST, STATE], ids=lambda event: event["type"])
@pytest.mark.parametrize("stage", LEGAL, ids=lambda stage: stage.name)
def test_each_stage_takes_its_own_events_and_refuses_the_others(stage: WebSocketStage, event: dict) -> None:
    if event["type"] in LEGAL[stage]:
        websocket_step(stage, event)
    else:
        with pytest.raises(WrongOrder, match=stage.meaning):
            websocket_step(stage, event)


@pytest.mark.parametrize("event", [ACCEPT, SEND, None, {"type": "nonsense"}])
def test_after_the_client_has_gone_every_event_is_client_gone(event: object) -> None:
    with pytest.raises(ClientGone):
        websocket_step(GONE, event)


@pytest.mark.parametrize("event", [None, [], {}, {"type": 7}, {"type": "http.response.start"}])
def test_what_is_no_event_of_a_websocket_is_invalid(event: object) -> None:
    """P12. Not merely in the wrong order."""
    with pytest.raises(InvalidEvent):
        websocket_step(OPEN, event)


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"text": None, "bytes": None},
        {"text": "a", "bytes": b"a"},
        {"text": 7},
        {"text": b"a"},
        {"bytes": "a"},
        {"text": "\ud800"},
    ],
)
def test_a_message_has_either_text_or_bytes_of_their_types(event: dict[str, object]) -> None:
    with pytest.raises(InvalidEvent):
        websocket_step(OPEN, {"type": "websocket.send", **event})


@pytest.mark.parametrize(
    ("message", "size"), [({"text": "äö"}, 68), ({"text": "ab"}, 66), ({"bytes": b"abc", "text": None}, 67)]
)
def test_a_message_counts_its_bytes_and_64(message: dict[str, object], size: int) -> None:
    """P5. Text counts as UTF-8."""
    assert websocket_step(OPEN, {"type": "websocket.send", **message})[1] == size


@pytest.mark.parametrize(("code", "sent"), [(None, 1000), (1005, 1000), (1000, 1000), (1013, 1013), (4999, 4999)])
def test_a_close_without_a_code_is_a_normal_closure(code: int | None, sent: int) -> None:
    checked, _, _ = websocket_step(OPEN, CLOSE | {"code": code})
    assert (checked["code"], checked["reason"]) == (sent, "")


@pytest.mark.parametrize("code", [0, 999, 1004, 1006, 1015, 2999, 5000, "1000", True, 1000.0])
def test_a_code_that_may_not_travel_is_invalid(code: object) -> None:
    with pytest.raises(InvalidEvent, match="code is"):
        websocket_step(OPEN, CLOSE | {"code": code})


def test_a_reason_fits_a_control_frame_as_utf8() -> None:
    """RFC 6455, 5.5."""
    assert websocket_step(OPEN, CLOSE | {"reason": "ä" * 61})[0]["reason"] == "ä" * 61
    with pytest.raises(InvalidEvent, match="reason is longer"):
        websocket_step(OPEN, CLOSE | {"reason": "ä" * 62})


@pytest.mark.parametrize("subprotocol", ["", "a b", "a\r\nb: c", "ü", b"chat", 7])
def test_a_subprotocol_is_a_token(subprotocol: object) -> None:
    """P12. It is a line of the response's head."""
    with pytest.raises(InvalidEvent, match="subprotocol"):
        websocket_step(CONNECTING, ACCEPT | {"subprotocol": subprotocol})


def test_a_subprotocol_is_one_that_the_client_offered_or_none() -> None:
    """RFC 6455, 4.1: the client must fail the connection otherwise."""
    for chosen in ("v2", None):
        check_offered(websocket_step(CONNECTING, ACCEPT | {"subprotocol": chosen})[0], ["v1", "v2"])
    accept, _, _ = websocket_step(CONNECTING, ACCEPT | {"subprotocol": "v3"})
    with pytest.raises(InvalidEvent, match="it offered: v1, v2"):
        check_offered(accept, ["v1", "v2"])
    with pytest.raises(InvalidEvent, match="it offered: none"):
        check_offered(accept, [])


@pytest.mark.parametrize("resumable", [True, "crash"])
def test_an_accept_may_ask_to_be_resumable(resumable: object) -> None:
    assert websocket_step(CONNECTING, ACCEPT | {"resumable": resumable})[0]["resumable"] == resumable
    assert "resumable" not in websocket_step(CONNECTING, ACCEPT | {"resumable": False})[0]
    with pytest.raises(InvalidEvent, match="resumable"):
        websocket_step(CONNECTING, ACCEPT | {"resumable": "sometimes"})


def test_a_state_is_of_asgis_types_and_bounded() -> None:
    """P5. It waits in Redis with the connection."""
    fits = "x" * (STATE_SIZE_BYTES_MAX - 3)  # a string of this length has a head of three bytes
    assert websocket_step(OPEN, STATE | {"state": fits})[0] == {"type": "towpath.state", "state": fits}
    with pytest.raises(InvalidEvent, match=f"at most {STATE_SIZE_BYTES_MAX}"):
        websocket_step(OPEN, STATE | {"state": fits + "x"})
    with pytest.raises(Exception, match=r"state\['x'\]"):
        websocket_step(OPEN, STATE | {"state": {"x": object()}})


@pytest.mark.parametrize("character", ["a", "ä", "€", "🐴"])
def test_a_long_text_is_cut_between_characters(character: str) -> None:
    """Each part is text by itself, and all but the last say that more follows."""
    text = "x" + character * PART_SIZE_BYTES_MAX
    parts = list(message_parts({"type": "websocket.send", "text": text}))
    assert "".join(event["text"] for event, _ in parts) == text
    assert [event.get("more_body", False) for event, _ in parts] == [True] * (len(parts) - 1) + [False]
    assert all(size == len(event["text"].encode()) + 64 <= PART_SIZE_BYTES_MAX + 64 for event, size in parts)


def test_long_bytes_are_cut_into_parts_of_64_kib() -> None:
    payload = bytes(range(256)) * (PART_SIZE_BYTES_MAX // 128) + b"rest"
    parts = list(message_parts({"type": "websocket.send", "bytes": payload}))
    assert b"".join(event["bytes"] for event, _ in parts) == payload
    assert [size for _, size in parts] == [PART_SIZE_BYTES_MAX + 64] * 2 + [4 + 64]


@pytest.mark.parametrize("stage", WebSocketStage)
def test_the_end_of_the_connection_ends_every_stage(stage: WebSocketStage) -> None:
    assert disconnect_step(stage) is GONE


def test_a_hand_off_is_asked_for_sent_and_ended_by_the_disconnect() -> None:
    """Events stop before it is sent, so none is lost between two instances."""
    state = NOT_ASKED
    for after in (ASKED, SENT, NOT_ASKED, ASKED, NOT_ASKED):
        state = hand_off_step(state, after)
    for before, after in ((NOT_ASKED, SENT), (ASKED, ASKED), (SENT, ASKED), (SENT, SENT)):
        with pytest.raises(IllegalMove, match=f"from {before.name} to {after.name}"):
            hand_off_step(before, after)
