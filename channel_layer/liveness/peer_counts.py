"""Counts the connections that are shared with each peer: a peer with any is watched.

One check of a lease serves all connections that are shared with its process. lease.py decides what a lease proves;
failure_detector.py checks and acts. Promises P6 and P8.
"""

from __future__ import annotations

from collections.abc import Callable, Container


class PeerCounts:
    """The number of connections that are shared with each process, by its name."""

    __slots__ = ("_held", "_unreleased", "_watch", "_watched")

    def __init__(self, watched: Container[str], watch: Callable[[str], None]) -> None:
        """watch: called with a process that is not among the `watched` when a connection is shared with it."""
        self._watched = watched
        self._watch = watch
        self._held: dict[str, int] = {}
        self._unreleased: dict[str, int] = {}  # connections of dead processes that are not released yet

    def acquire(self, node: str) -> None:
        """Add one connection that is shared with `node`, and watch that process."""
        self._held[node] = self._held.get(node, 0) + 1
        if node not in self._watched:
            self._watch(node)

    def __contains__(self, node: str) -> bool:
        return node in self._held

    def release(self, node: str) -> None:
        """Subtract one connection."""
        counts = self._unreleased if node in self._unreleased else self._held
        left = counts.get(node, 0) - 1
        if left > 0:
            counts[node] = left
        else:
            counts.pop(node, None)

    def process_death(self, node: str) -> None:
        """Move the connections of a dead process aside, until each is released.

        A connection that this process adopts from its queue from now on is counted anew.
        """
        count = self._held.pop(node, 0)
        if count:
            self._unreleased[node] = self._unreleased.get(node, 0) + count

    def watched(self) -> list[str]:
        """The processes with leases that are to be checked."""
        return list(self._held)
