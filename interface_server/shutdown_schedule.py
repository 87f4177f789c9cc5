"""Schedule for ending WebSockets and event streams when their process leaves: no herd, and in time.

A client that is closed reconnects at once, to the processes that stay. So a few are closed at a time, and no two steps are
equally far apart: several processes that leave together, or clients that wait equally long before they come back, must not beat
as one.

No clock, no randomness and no socket here: the caller shuffles, draws, and waits for each moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")

STEP_S = 0.05  #: one step in each stretch of this length
#: A hundred in a second do no harm, so a process with a few hundred sockets leaves in a few seconds.
STEP_MIN = 5


def shutdown_steps(
    shuffled: Sequence[Item], over_s: float, draw: Callable[[], float]
) -> Iterator[tuple[float, Sequence[Item]]]:
    """All of them, in steps: (seconds from the beginning, below `over_s`; the connections). draw: from [0, 1), for each."""
    steps = max(1, min(-(-len(shuffled) // STEP_MIN), int(over_s / STEP_S)))
    size = max(1, -(-len(shuffled) // steps))
    stretch_s = min(STEP_S, over_s)
    for number, start in enumerate(range(0, len(shuffled), size)):
        yield (number + draw()) * stretch_s, shuffled[start : start + size]
