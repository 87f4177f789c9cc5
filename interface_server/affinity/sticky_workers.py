"""The workers that read a channel of their own, as one interface server knows them.

A worker announces itself when it starts, its lease shows it as long as it lives, and it is not chosen once it leaves or dies. Only a
worker that was not listed for a while is removed, since an announcement may be newer than a list.
No I/O here: `now` is monotonic seconds. PROTOCOL.md, "Affinity".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

LISTED_FOR_S: Final = 3.0  #: leases are listed each second
LEFT_MAX: Final = 256  #: names of workers that have left, remembered since their lease may be listed once more


class StickyWorkers:
    """A collection of the workers' names."""

    __slots__ = ("_left", "_until")

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._left: deque[str] = deque(maxlen=LEFT_MAX)

    def __contains__(self, worker: object) -> bool:
        return worker in self._until

    def __iter__(self) -> Iterator[str]:
        return iter(self._until)

    def __len__(self) -> int:
        return len(self._until)

    def announced(self, worker: str, now: float) -> None:
        """Add a worker that has just started."""
        if worker not in self._left:
            self._until[worker] = now + LISTED_FOR_S

    def listed(self, workers: Iterable[str], now: float) -> None:
        """Keep the workers that a list of leases shows, and remove those that no list has shown for a while.

        workers: those that take connections from a channel of their own, by their leases of this moment or a second ago.
        """
        for worker in workers:
            self.announced(worker, now)
        for worker in [worker for worker, until in self._until.items() if until < now]:
            del self._until[worker]

    def left(self, worker: str) -> None:
        """Remove a worker that is dead or takes nothing any more. Its name is never used again."""
        if worker not in self._left:
            self._left.append(worker)
        self._until.pop(worker, None)
