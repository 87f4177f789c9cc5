"""How many of those that are left are closed at a look, so that they go evenly over a stretch of time.

Whoever goes by himself meanwhile leaves more time to the others. No clock here: the caller says how much of the stretch is left.
"""

from __future__ import annotations

import math


class DrainPacing:
    """Of one stretch, in which nobody is added."""

    def __init__(self) -> None:
        self.count: int | None = None  #: how many there were at the first look; None before it

    def due(self, left: int, rest: float) -> int:
        """How many of the `left` have to go now. rest: the part of the stretch that is left, from 1.0 down; at 0.0 all go."""
        if self.count is None:
            self.count = left
        may_stay = math.floor(self.count * max(0.0, rest))
        return max(0, left - may_stay)
