"""Who has to have done something by when, where everybody gets the same time.

Think of a queue at a door that opens every so often for whoever has waited long enough. As all wait equally long, they
stand in the order in which they came, and a look at the front is enough: 50 000 sockets cost no more than those due now.

No clock here: the caller brings `now` (monotonic, seconds).
"""

from __future__ import annotations

from typing import Generic, TypeVar

Item = TypeVar("Item")


class Deadlines(Generic[Item]):
    """Items and the moment at which each is due, `delay_s` after it was armed."""

    __slots__ = ("_due", "delay_s")

    def __init__(self, delay_s: float) -> None:
        self.delay_s = delay_s
        self._due: dict[Item, float] = {}

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, item: Item) -> bool:
        return item in self._due

    def arm(self, item: Item, now: float) -> None:
        """`item` is due `delay_s` after `now`; an earlier deadline of it is forgotten."""
        self._due.pop(item, None)
        self._due[item] = now + self.delay_s

    def disarm(self, item: Item) -> None:
        """Nothing is expected of `item` any more."""
        self._due.pop(item, None)

    def take_due(self, now: float) -> list[Item]:
        """Those whose moment has come, oldest first; they are no longer armed."""
        due = []
        for item, moment in self._due.items():
            if moment > now:
                break
            due.append(item)
        for item in due:
            del self._due[item]
        return due
