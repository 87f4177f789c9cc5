"""A histogram of durations: how many took at most so long, for each of some bounds.

One thread observes. Any other may read meanwhile: what it reads may lack the last observation, or have it in one of the two figures.
"""

from __future__ import annotations

import math
from bisect import bisect_left

#: Prometheus' own default for requests.
BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, math.inf)


class Histogram:
    """The counts of one process, by BOUNDS_S."""

    __slots__ = ("_counts", "sum_s")

    def __init__(self) -> None:
        self._counts = [0] * len(BOUNDS_S)
        self.sum_s = 0.0  #: of all durations

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self._counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.sum_s += seconds

    def at_most(self) -> list[tuple[float, int]]:
        """Each bound, and how many durations were not longer."""
        total, counted = 0, []
        for bound_s, count in zip(BOUNDS_S, self._counts.copy(), strict=True):
            total += count
            counted.append((bound_s, total))
        return counted
