"""Whether a worker holds more open WebSockets than its share: then it leaves those that come to others, for a moment.

Sockets stay where they are for hours. A worker that has just been started has none, and one that has outlived a rolling restart has
those of all that were replaced; first come, first served would leave it so. What the others hold is known from their leases, up to
two seconds late: so the laden leave what comes only for a moment, and then take it if it is still there. They cannot all be laden;
should old figures make them believe so, nothing waits longer than two of those moments (channel_layer/courtesy.py).
PROTOCOL.md, "Adoption"; P7.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

LADEN_FACTOR = 1.25
LADEN_EXTRA = 50  #: a few more or less are no burden
LEAVES_S = 0.05  #: how long an entry is left to others, or twice that

#: In a lease: it takes no more, has stood still, or leaves what comes to a newer generation, and goes soon.
DECLINES = ("draining", "blocked_s", "gives_way")


def willing(leases: Iterable[Mapping[str, Any]]) -> list[int]:
    """The open WebSockets of each fellow that would take one more, by what its lease says."""
    found = []
    for lease in leases:
        count, free = lease.get("websockets"), lease.get("free")
        if any(map(lease.get, DECLINES)) or type(count) is not int or type(free) is not dict:
            continue
        room = free.get("websocket")
        if type(room) is int and room > 0:
            found.append(count)
    return found


def may_be_laden(own: int) -> bool:
    """Is it worth asking what the others hold?"""
    return own > LADEN_EXTRA


def is_laden(own: int, others: Sequence[int]) -> bool:
    """More than a quarter above the mean of all, and not by a few only. Whoever is alone never is."""
    mean = (own + sum(others)) / (1 + len(others))
    return own > mean * LADEN_FACTOR + LADEN_EXTRA
