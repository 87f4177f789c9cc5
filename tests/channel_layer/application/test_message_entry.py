"""The fields of a `message` in an entry of a shared channel."""

from __future__ import annotations

from channel_layer.application.message_entry import deadline_ms, event_of
from channel_layer.messaging.entry import Entry
from channel_layer.protocol import packets


def test_the_last_moment_of_a_message_is_its_expiry_after_its_arrival() -> None:
    """By Redis' clock, which is in the id of the entry."""
    packet = list(packets.message("", {"type": "work"}, 60_000))
    entry = Entry(b"1700000000000-3", 40, ("", 0, 0), packet)
    assert deadline_ms(entry) == 1_700_000_060_000
    assert event_of(entry) == {"type": "work"}
