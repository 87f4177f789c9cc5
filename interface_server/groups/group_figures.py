"""The figures of the groups of one interface server, counted anew every few seconds. No I/O."""

from __future__ import annotations

from typing import Final

from channel_layer.messaging.membership import Membership

COUNTED_S: Final = 5.0  #: so old may figures be: 100 000 groups take 5 ms to count
NAMES: Final = ("groups", "group_members", "largest_group")


class GroupFigures:
    """How many groups have members here, how many members they have, and how many the largest has."""

    __slots__ = ("_counted_at", "_figures", "_membership")

    def __init__(self, membership: Membership[int]) -> None:
        self._membership = membership
        self._figures = dict.fromkeys(NAMES, 0)
        self._counted_at = -COUNTED_S

    def at(self, now: float) -> dict[str, int]:
        """The figures by name, at most COUNTED_S old. now: monotonic seconds."""
        if now - self._counted_at >= COUNTED_S:
            self._counted_at = now
            self._figures = dict(zip(NAMES, self._membership.sizes(), strict=True))
        return self._figures
