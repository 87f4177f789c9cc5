"""In which steps WebSockets and event streams are ended when their process leaves: no herd, and in time.

No clock and no socket here: the caller shuffles, and pauses between steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

Evicted = TypeVar("Evicted")

#: Fewer than these at once would only make a small process slow to leave.
STEP_MIN = 50


def eviction_steps(shuffled: Sequence[Evicted], over_s: float, step_s: float) -> Iterator[Sequence[Evicted]]:
    """All of them, in steps that take `over_s` at most when each is followed by a pause of `step_s`."""
    steps = max(1, int(over_s / step_s))
    size = max(STEP_MIN, -(-len(shuffled) // steps))
    for start in range(0, len(shuffled), size):
        yield shuffled[start : start + size]
