"""What a client sent ahead of its responses: words that wait until it is their turn.

Think of a queue at a counter where families stand together. The first of a family (the head of a request) may only step up
when the counter is free; the rest of it (parts of the body, its end) follows at once.

No I/O here. What waits is a call with its arguments; at most what one read held, for the caller then stops reading.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any


class Pipeline:
    """Calls in the order in which they were asked for; those that begin something wait until `free()`."""

    __slots__ = ("_free", "_replaying", "waiting")

    def __init__(self, free: Callable[[], bool]) -> None:
        self._free = free
        #: What waits; None or empty: nothing does. Asked for each part of each request, so it is no method.
        self.waiting: deque[tuple[bool, Callable[..., None], tuple[Any, ...]]] | None = None
        self._replaying = False

    def take(self, begins: bool, call: Callable[..., None], *args: Any) -> None:
        """Make the call now if it is its turn, else in `go_on`."""
        if self.waiting or (begins and not self._free()):
            if self.waiting is None:
                self.waiting = deque()
            self.waiting.append((begins, call, args))
        else:
            call(*args)

    def go_on(self) -> None:
        """Make the calls whose turn has come. A call may itself free the counter: the loop goes on, not deeper."""
        if self._replaying or not self.waiting:
            return
        self._replaying = True
        while self.waiting and (not self.waiting[0][0] or self._free()):
            _, call, args = self.waiting.popleft()
            call(*args)
        self._replaying = False

    def forget(self) -> None:
        """Nobody is served any more."""
        self.waiting = None
