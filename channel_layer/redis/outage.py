"""Counts the connections of one node to Redis that are away at a time, so that the log can tell of all of them at once. No I/O."""

from __future__ import annotations


class Outage:
    """The connections of one node whose loss is reported, in the order of their losses."""

    __slots__ = ("_away", "_most", "remind_at")

    def __init__(self) -> None:
        self._away: dict[object, None] = {}
        self._most = 0  # at a time, since the first was lost
        self.remind_at = 0.0

    def lost(self, connection: object) -> bool:
        """Record a loss. Returns True if no other connection is away."""
        self._away[connection] = None
        self._most = max(self._most, len(self._away))
        return len(self._away) == 1

    def is_first(self, connection: object) -> bool:
        """True if all others that are away were lost after this one."""
        return next(iter(self._away), None) is connection

    def others(self) -> str:
        """`, and 4 others`, of those that are away beside the first."""
        count = len(self._away) - 1
        return "" if count < 1 else f", and {count} other{'s' * (count > 1)}"

    def over(self, connection: object) -> int:
        """Record a return. Returns how many were away at a time, if none is any more, else 0."""
        self._away.pop(connection, None)
        if self._away:
            return 0
        most, self._most = self._most, 0
        return most
