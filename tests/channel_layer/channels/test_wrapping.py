"""Messages that are no events travel whole."""

from __future__ import annotations

from typing import Any

import pytest

from channel_layer.channels.wrapping import WRAPPED, unwrapped, wrapped

PLAIN = (
    {"type": "chat.line", "text": "hello"},
    {"type": "websocket.send", "text": "hello"},
    {"type": "websocket.close", "code": 4001, "reason": "late"},
)
OTHERS: tuple[dict[str, Any], ...] = (
    {},
    {"text": "without a type"},
    {"type": None},
    {"type": "websocket.send", "text": "hello", "sender": "ada"},
    {"type": "websocket.send"},
    {"type": "websocket.close"},
    {"type": WRAPPED, "message": "somebody's own"},
)


@pytest.mark.parametrize("message", PLAIN)
def test_an_event_is_not_touched(message: dict[str, Any]) -> None:
    """Among them those that a socket takes: a group may have sockets as members."""
    assert wrapped(message) is message
    assert unwrapped(message) is message


@pytest.mark.parametrize("message", OTHERS)
def test_any_other_message_travels_inside_of_an_event(message: dict[str, Any]) -> None:
    assert wrapped(message)["type"] == WRAPPED
    assert unwrapped(wrapped(message)) == message


@pytest.mark.parametrize("message", [None, "text", [], 7])
def test_what_is_no_dict_is_left_for_the_layer_to_refuse(message: object) -> None:
    assert wrapped(message) is message
