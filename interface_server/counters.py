"""How often each thing happened that a user would not want: refused, dropped, closed, cut.

Think of tally marks on a wall: a name, and how many. A name is `<what>.<why>` in lower case (`refused.head_too_large`,
`aborted.stalled`), so that the reason is never lost on the way to whoever publishes them. Names come from the code alone,
never from a client, so the wall does not grow.
"""

from __future__ import annotations


class Counters(dict[str, int]):
    """Name to number; a name that was never counted reads as 0 and takes no room."""

    __slots__ = ()

    def __missing__(self, name: str) -> int:
        return 0

    def count(self, name: str, times: int = 1) -> None:
        """`name` happened `times` times more."""
        self[name] = self[name] + times
