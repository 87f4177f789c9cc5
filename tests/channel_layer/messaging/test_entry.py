"""One entry of a shared channel."""

from __future__ import annotations

from typing import Any

import pytest

from channel_layer.errors import ProtocolError
from channel_layer.messaging.entry import Entry
from channel_layer.protocol import packets
from channel_layer.protocol.packets import MESSAGE, OPEN

OPENING = list(packets.open_(7, 1, [b"scope"], b"", False, 0, 30_000, False, "era"))
WORK = list(packets.message("", {"type": "work"}, 60_000))


def test_a_wait_ends_by_the_clock_of_redis() -> None:
    """P3. The id of an entry is when Redis got it; no clock of another machine counts."""
    opening = Entry.of(b"1700000000000-5", 100, ("interface.a", [OPENING]), OPEN)
    assert (opening.deadline_ms, opening.key) == (1_700_000_030_000, ("interface.a", 7, 1))
    message = Entry.of(b"1700000000000-3", 40, ("worker.a", [WORK]), MESSAGE)
    assert (message.deadline_ms, message.event) == (1_700_000_060_000, {"type": "work"})


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        (OPEN, []),
        (OPEN, [OPENING, OPENING]),
        (OPEN, [WORK]),
        (OPEN, [[*OPENING[:3], "scope", *OPENING[4:]]]),
        (MESSAGE, [OPENING]),
        (MESSAGE, [WORK[:4]]),
        (MESSAGE, [[MESSAGE, "", 0, {}, 60_000]]),
        (MESSAGE, [[MESSAGE, "", 0, {"type": 5}, 60_000]]),
        (MESSAGE, [[MESSAGE, 7, 0, {"type": "work"}, 60_000]]),
        (MESSAGE, [[MESSAGE, "", 0, {"type": "work"}, "soon"]]),
    ],
)
def test_what_is_no_entry_of_its_channel_is_refused(kind: int, found: list[Any]) -> None:
    """P12. Also a batch without any packet."""
    with pytest.raises(ProtocolError):
        Entry.of(b"1-0", 40, ("worker.a", found), kind)
