"""One entry of a shared channel."""

from __future__ import annotations

from channel_layer.messaging.entry import Entry
from channel_layer.protocol.packets import open_


def test_its_wait_ends_by_the_clock_of_redis() -> None:
    """P3. The id of an entry is when Redis got it; no clock of another machine counts."""
    packet = [*open_(1, 1, [b"scope"], b"", False, 0, 30_000, False, "era")]
    assert Entry(b"1700000000000-5", 100, ("interface.a", 1, 1), packet).deadline_ms == 1_700_000_030_000
