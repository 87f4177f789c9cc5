"""Places: how many exchanges a worker's application may work at, and which exchanges wait for their client meanwhile.

An exchange holds a place from its start until the application returns, with two exceptions, in which it costs memory and no work:

* from the start of its response until the response is complete: an event stream lasts for hours, a download as long as it takes;
* while no response has started and the application waits in `receive()` for a part of the body that its client has not sent.

`receive()` after the whole body is a wait for the disconnect, beside which the application works in another task: the place is held.
So is it by background work after a complete response. An exchange whose client has left stays what it was.

The work goes on when bytes come, whether a place is free or not. More places are held than there are then, and nothing new is taken
until fewer are. Beyond `waiting_max` an exchange keeps its place while it waits.

No task and no loop: http.py says when, host.py asks what is free.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

Exchange = TypeVar("Exchange")


class Capacity(Generic[Exchange]):
    """Those of one worker. `exchanges`: all whose application has not returned; `waiting`: those of them that wait for their client."""

    __slots__ = ("_count", "_on_left", "_waiting_max", "exchanges", "missed", "waiting")

    def __init__(self, count: int, waiting_max: int, on_left: Callable[[], None]) -> None:
        """on_left: called when a place is left and was missed; perhaps for this turn of the loop only."""
        self._count = count
        self._waiting_max = waiting_max
        self.exchanges: set[Exchange] = set()
        self.waiting: set[Exchange] = set()
        self.missed = False  #: a place was asked for, and none was free
        self._on_left = on_left

    @property
    def free(self) -> int:
        """How many are free: less than 0 where work went on without one."""
        return self._count - len(self.exchanges) + min(len(self.waiting), self._waiting_max)

    def leave(self, exchange: Exchange) -> None:
        """It waits for its client from now on."""
        self.waiting.add(exchange)
        if self.missed and self.free > 0:
            self.missed = False
            self._on_left()
