"""What may be said to a socket from outside of its instance, on both sides of each limit."""

from __future__ import annotations

from typing import Any

import pytest

from channel_layer.errors import InvalidMessage, MessageTooLarge
from channel_layer.protocol.events import EVENT_OVERHEAD_BYTES
from channel_layer.protocol.socket_messages import (
    CHECKS,
    REPORT_SIZE_BYTES_MAX,
    is_for_clients,
    report_message,
    socket_message,
)

NOBODY_CAN_TAKE = [
    (
        {"type": "chat_message", "text": "x"},
        "'chat_message'; a client can be sent websocket.send, websocket.close, http",
    ),
    ({"type": "chat.message"}, "'chat.message'"),
    ({"type": "websocket.accept"}, "'websocket.accept'"),
    ({"text": "x"}, "message['type'] is None"),
    ({"type": ["websocket.send"], "text": "x"}, "message['type'] is of type list"),
    ({"type": "websocket.send"}, "exactly one of them"),
    ({"type": "websocket.send", "text": None, "bytes": None}, "exactly one of them"),
    ({"type": "websocket.send", "text": "x", "bytes": b"x"}, "exactly one of them"),
    ({"type": "websocket.send", "text": {"message": "x"}}, "message['text'] is of type dict; it is str"),
    ({"type": "websocket.send", "text": b"x"}, "message['text'] is of type bytes; it is str"),
    ({"type": "websocket.send", "bytes": "x"}, "message['bytes'] is of type str; it is bytes"),
    ({"type": "websocket.send", "text": "x\ud800"}, "message['text'] holds a lone surrogate at 1"),
    ({"type": "websocket.close", "code": 1006}, "message['code'] is 1006"),
    ({"type": "websocket.close", "code": "1000"}, "message['code'] is '1000'"),
    ({"type": "websocket.close", "code": True}, "message['code'] is True"),
    ({"type": "websocket.close", "reason": "x" * 124}, "message['reason'] is longer than 123 bytes"),
    ({"type": "websocket.close", "reason": 5}, "message['reason'] is of type int; it is str"),
    ({"type": "http.response.start", "status": 200}, "'http.response.start'"),
    ({"type": "http.response.body", "body": "data: x"}, "message['body'] is of type str; it is bytes"),
    ({"type": "http.response.body", "body": b"x", "more_body": 1}, "message['more_body'] is of type int; it is bool"),
]


@pytest.mark.parametrize(("message", "why"), NOBODY_CAN_TAKE)
def test_what_no_socket_can_take_is_refused_with_the_place(message: dict[str, Any], why: str) -> None:
    """P12."""
    with pytest.raises(InvalidMessage) as raised:
        socket_message(message)
    assert why in str(raised.value)


@pytest.mark.parametrize(
    ("message", "taken"),
    [
        ({"type": "websocket.send", "text": ""}, {"type": "websocket.send", "text": ""}),
        ({"type": "websocket.send", "text": "grüße", "bytes": None}, {"type": "websocket.send", "text": "grüße"}),
        ({"type": "websocket.send", "bytes": b"", "text": None}, {"type": "websocket.send", "bytes": b""}),
        ({"type": "websocket.send", "text": "x", "more_body": True}, {"type": "websocket.send", "text": "x"}),
        ({"type": "websocket.close"}, {"type": "websocket.close", "code": 1000, "reason": ""}),
        ({"type": "websocket.close", "code": 1005}, {"type": "websocket.close", "code": 1000, "reason": ""}),
        (
            {"type": "websocket.close", "code": 4999, "reason": "x" * 123},
            {"type": "websocket.close", "code": 4999, "reason": "x" * 123},
        ),
        (
            {"type": "http.response.body", "body": b"data: x\n\n", "trailers": True},
            {"type": "http.response.body", "body": b"data: x\n\n", "more_body": True},
        ),
        (
            {"type": "http.response.body", "more_body": False},
            {"type": "http.response.body", "body": b"", "more_body": False},
        ),
    ],
)
def test_what_a_socket_can_take_travels_without_anything_else(message: dict[str, Any], taken: dict[str, Any]) -> None:
    """P12."""
    assert socket_message(message) == taken


def test_only_types_of_clients_are_for_clients() -> None:
    """All others may have a meaning for an application."""
    assert all(map(is_for_clients, CHECKS))
    assert not any(map(is_for_clients, ("chat.message", "websocket.accept", None, 5, ["websocket.send"])))


def test_a_report_is_a_message_that_a_client_can_be_sent() -> None:
    assert report_message(None) is report_message(False) is None
    assert report_message({"type": "websocket.close", "more": 1}) == {
        "type": "websocket.close",
        "code": 1000,
        "reason": "",
    }
    for report in (True, "reload", {"type": "towpath.gap"}, {"type": "websocket.send"}):
        with pytest.raises(InvalidMessage):
            report_message(report)


def test_a_report_is_small() -> None:
    """P5. The owner of the channel keeps one for each membership."""
    text = "x" * (REPORT_SIZE_BYTES_MAX - EVENT_OVERHEAD_BYTES)
    assert report_message({"type": "websocket.send", "text": text}) == {"type": "websocket.send", "text": text}
    with pytest.raises(MessageTooLarge):
        report_message({"type": "websocket.send", "text": text + "x"})
