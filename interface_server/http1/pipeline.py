"""Parts of requests that a client sent ahead of its responses, each waiting for its turn.

The head of a request waits until no exchange is under way; the parts of its body and its end follow at once.

No I/O here. Each entry is a call with its arguments. At most the contents of one read wait, since the caller then stops reading.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any


class Pipeline:
    """Calls in the order in which they were requested; those that begin something wait until `free()`."""

    __slots__ = ("_free", "_replaying", "waiting")

    def __init__(self, free: Callable[[], bool]) -> None:
        self._free = free
        #: The calls that wait; None or empty: none does. Read for each part of each request, so it is no method.
        self.waiting: deque[tuple[bool, Callable[..., None], tuple[Any, ...]]] | None = None
        self._replaying = False

    def take(self, begins: bool, call: Callable[..., None], *args: Any) -> None:
        """Make the call now if none waits before it, else in `go_on`."""
        if self.waiting or (begins and not self._free()):
            if self.waiting is None:
                self.waiting = deque()
            self.waiting.append((begins, call, args))
        else:
            call(*args)

    def go_on(self) -> None:
        """Make the calls that may be made now. A call may end the exchange: the loop continues, without recursion."""
        if self._replaying or not self.waiting:
            return
        self._replaying = True
        while self.waiting and (not self.waiting[0][0] or self._free()):
            _, call, args = self.waiting.popleft()
            call(*args)
        self._replaying = False

    def forget(self) -> None:
        """Drop all calls that wait."""
        self.waiting = None
