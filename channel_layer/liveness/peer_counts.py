"""Whose lives matter to a process, because connections of its own are in their hands.

A count for each, and nothing about how they are: one look at a lease serves all connections that are shared with it. What a lease
proves stands in lease.py; failure_detector.py looks, and acts. Promises P6 and P8.
"""

from __future__ import annotations


class PeerCounts:
    """How many connections are shared with each process, by its name."""

    __slots__ = ("_held", "_unreleased")

    def __init__(self) -> None:
        self._held: dict[str, int] = {}
        self._unreleased: dict[str, int] = {}  # connections of the dead that are not released yet

    def acquire(self, node: str) -> None:
        """One connection more is shared with `node`."""
        self._held[node] = self._held.get(node, 0) + 1

    def __contains__(self, node: str) -> bool:
        return node in self._held

    def release(self, node: str) -> None:
        """One connection less."""
        counts = self._unreleased if node in self._unreleased else self._held
        left = counts.get(node, 0) - 1
        if left > 0:
            counts[node] = left
        else:
            counts.pop(node, None)

    def process_death(self, node: str) -> None:
        """The process is dead and its connections are dealt with.

        Each of them is still to be released; one that is taken from its queue from now on is another matter: it is held anew.
        """
        count = self._held.pop(node, 0)
        if count:
            self._unreleased[node] = self._unreleased.get(node, 0) + count

    def watched(self) -> list[str]:
        """Whose leases to look at."""
        return list(self._held)
