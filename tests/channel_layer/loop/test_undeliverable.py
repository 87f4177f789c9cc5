"""What a process remembers of reply channels that deliver nothing."""

from __future__ import annotations

from typing import Any

import pytest

from channel_layer.errors import ChannelGone, InvalidMessage, ProtocolError
from channel_layer.loop.undeliverable import REMEMBERED_MAX, Undeliverable
from channel_layer.protocol.packets import EVERY_TYPE

NODE = "interface.0123456789ab"
SEND, BODY = "websocket.send", "http.response.body"


def test_a_connection_that_is_over_takes_nothing() -> None:
    """No other connection of that process is meant, and no other process."""
    known = Undeliverable()
    known.check(NODE, 7, SEND)
    known.add(NODE, 7, EVERY_TYPE)
    for kind in (SEND, BODY):
        with pytest.raises(ChannelGone, match=f"{NODE}!7"):
            known.check(NODE, 7, kind)
    known.check(NODE, 8, SEND)
    known.check("interface.other", 7, SEND)
    assert known.is_over(NODE, 7) and not known.is_over(NODE, 8)


def test_a_connection_that_does_not_take_one_type_may_take_others() -> None:
    """A WebSocket takes no bytes of an event stream. It is not over."""
    known = Undeliverable()
    known.add(NODE, 7, BODY)
    with pytest.raises(InvalidMessage, match=BODY):
        known.check(NODE, 7, BODY)
    known.check(NODE, 7, SEND)
    assert not known.is_over(NODE, 7)


def test_the_channels_that_were_used_longest_ago_are_forgotten() -> None:
    """P5. A use is a notice, or a send that was refused."""
    known = Undeliverable()
    for number in range(1, REMEMBERED_MAX + 1):
        known.add(NODE, number, EVERY_TYPE)
    with pytest.raises(ChannelGone):
        known.check(NODE, 1, SEND)
    for number in range(REMEMBERED_MAX + 1, REMEMBERED_MAX + 3):
        known.add(NODE, number, EVERY_TYPE)
    assert len(known) == REMEMBERED_MAX
    assert [number for number in range(1, 7) if known.is_over(NODE, number)] == [1, 4, 5, 6]


@pytest.mark.parametrize(("number", "kind"), [("7", ""), (True, ""), (None, ""), (7, None), (7, "x" * 1_000), (7, [])])
def test_a_malformed_notice_is_not_remembered(number: Any, kind: Any) -> None:
    """P12. It may come from any program."""
    known = Undeliverable()
    with pytest.raises(ProtocolError):
        known.add(NODE, number, kind)
    assert not len(known)
