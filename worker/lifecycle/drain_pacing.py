"""Spreads the closing of connections evenly over a period of time.

A connection that ends by itself meanwhile leaves more time to the others. No clock here: the caller passes the fraction that is left.
"""

from __future__ import annotations

import math


class DrainPacing:
    """The pacing of one period, in which no connection is added."""

    def __init__(self) -> None:
        self.count: int | None = None  #: connections at the first call of `due`; None before it

    def due(self, left: int, rest: float) -> int:
        """The number of the `left` to close now.

        rest: the fraction of the period that is left, from 1.0 down; at 0.0 all are due.
        """
        if self.count is None:
            self.count = left
        may_stay = math.floor(self.count * max(0.0, rest))
        return max(0, left - may_stay)
