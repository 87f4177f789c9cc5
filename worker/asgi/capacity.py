"""Counts places: a worker's application may work at so many exchanges at a time. Those that wait for their client hold none.

An exchange holds a place from its start until the application returns, with two exceptions, in which it costs memory but no work:

* from the start of its response until the response is complete: an event stream lasts for hours, a download as long as it takes;
* while no response has started and the application waits in `receive()` for a part of the body that its client has not sent.

`receive()` after the whole body waits for the disconnect, while the application works in another task: the exchange keeps its place.
Background work after a complete response holds the place too. If the client leaves, nothing changes.

Work goes on when bytes arrive, whether a place is free or not. Then more places are held than exist, and the worker takes nothing new
until that is over. Beyond `waiting_max` an exchange keeps its place while it waits.

No task and no loop here: http.py reports the changes, host.py reads what is free.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

Exchange = TypeVar("Exchange")


class Capacity(Generic[Exchange]):
    """The places of one worker. `exchanges`: all whose application has not returned; `waiting`: those that wait for their client."""

    __slots__ = ("_count", "_on_left", "_waiting_max", "exchanges", "missed", "waiting")

    def __init__(self, count: int, waiting_max: int, on_left: Callable[[], None]) -> None:
        """on_left: called when a place becomes free after none was; perhaps for this turn of the event loop only."""
        self._count = count
        self._waiting_max = waiting_max
        self.exchanges: set[Exchange] = set()
        self.waiting: set[Exchange] = set()
        self.missed = False  #: a place was wanted, and none was free
        self._on_left = on_left

    @property
    def free(self) -> int:
        """The number of free places: below 0 if work went on without one."""
        return self._count - len(self.exchanges) + min(len(self.waiting), self._waiting_max)

    def leave(self, exchange: Exchange) -> None:
        """Give the place of an exchange back: it waits for its client from now on."""
        self.waiting.add(exchange)
        if self.missed and self.free > 0:
            self.missed = False
            self._on_left()
