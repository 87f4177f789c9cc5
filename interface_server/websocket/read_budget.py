"""How long the long reads of all WebSockets may be parsed in one turn of the event loop, all together.

A client can put 40 000 of the smallest frames into one read. Were each socket given a share of every turn, a hundred such
clients would hold everybody else up for seconds. So all of them share one time: when it is over, sockets wait in line for
the next turn, and between two turns the loop serves everybody else.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter

TIME_PER_TURN_S = 0.005


class ReadBudget:
    """The time that is left of this turn, and the sockets that wait for the next one."""

    __slots__ = ("_ends", "_loop", "_waiting", "time_s")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.time_s = TIME_PER_TURN_S
        self._loop = loop
        self._ends: float | None = None  # None: nobody has asked in this turn
        self._waiting: deque[Callable[[], None]] = deque()

    def has_time(self) -> bool:
        """True if a part of a long read may be parsed now. The first to ask in a turn always has time."""
        now = perf_counter()
        if self._ends is None:
            self._ends = now + self.time_s
            self._loop.call_soon(self._next_turn)
            return True
        return now < self._ends

    def wait(self, go_on: Callable[[], None]) -> None:
        """Call `go_on` in a later turn, behind those that wait already. Only where `has_time` has just been False."""
        self._waiting.append(go_on)

    def _next_turn(self) -> None:
        self._ends = None
        while self._waiting and (self._ends is None or self.has_time()):  # the first asks for itself, and so goes on
            self._waiting.popleft()()
