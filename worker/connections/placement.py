"""Which worker takes the WebSockets that come, so that none has many more than the others.

Sockets stay where they are for hours. Taken first come, first served, those of all old workers would go to the first new one in a
rolling restart, and stay with it. So each worker knows two figures:

* its *share*, a little above the mean: a worker that has as many leaves what comes to others for a moment, and the longer the more it has;
* its *bound*: a worker that has more hands over what it has beyond its share, when nobody comes or goes any more (rebalancing.py).

The mean is of all sockets, as interface servers count them, over the workers that stay. Which worker has a socket changes nothing in that,
so the mean is the same before, during and after a rolling restart: each new worker takes what its predecessor may have had, and no more.

What others hold is known from their leases, up to two seconds late. Wrong figures cost a few of those moments and nothing else: a worker
that declines takes what is still there after them (channel_layer/messaging/deferral.py). PROTOCOL.md, "Adoption"; P7.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from channel_layer.messaging.generations import DEFER_TO_NEWER_S

SHARE_FACTOR, SHARE_EXTRA = 1.1, 25
BOUND_FACTOR, BOUND_EXTRA = 1.25, 50
DEFER_S = 0.05  #: how long a worker that has its share leaves an entry to others, or twice that; with twice its share twice as long
DEFER_TIMES_MAX = 4
ASKING_S = 5.0  #: so long a new worker asks what the others hold, whatever it finds
SETTLED_S = 2.5  #: by then what has changed is in every lease that was looked at
SUCCEEDS_S = 1.5  #: so long it takes itself for the successor of one that has not said yet that it leaves

#: In a lease: it is about to leave, or would leave what comes to a newer generation.
LEAVING = ("draining", "gives_way")


class Placement:
    """Of one worker. `share` and `bound` are in sockets."""

    __slots__ = ("_began", "_counts", "_most", "bound", "calm", "share", "takers")

    def __init__(self) -> None:
        self.share = self.bound = math.inf  # as long as there is no other worker
        self.calm = False  #: nobody drains or gives way
        self.takers: list[int] = []  #: the sockets of each fellow that would take one more
        self._most = 0
        self._began = math.inf
        self._counts: list[tuple[float, int]] = []

    def needs_leases(self, own: int, now: float) -> bool:
        """True if what the others hold is worth asking: for a fleet without WebSockets it is not."""
        return now < self._began + ASKING_S or max(own, self._most) > BOUND_EXTRA

    def update(self, own: int, leases: Iterable[Mapping[str, Any]], now: float) -> None:
        """own: sockets of this worker; leases: those of all other processes."""
        self._began = min(self._began, now)
        counted = [lease for lease in leases if type(lease.get("websockets")) is int]
        workers = [lease for lease in counted if lease.get("role") == "worker"]
        staying = [lease for lease in workers if not lease.get("draining") and can_take(lease)]
        self._most = max((lease["websockets"] for lease in workers), default=0)
        self.calm = not any(lease.get(name) for lease in workers for name in LEAVING)
        self.takers = [lease["websockets"] for lease in staying if not lease.get("gives_way")]
        held = sum(lease["websockets"] for lease in counted if lease.get("role") == "interface")
        if not held:  # interface servers of an earlier version do not say it
            held = own + sum(lease["websockets"] for lease in workers)
        mean = max(held, own) / self._workers(len(staying), now) if staying else math.inf
        self.share = mean * SHARE_FACTOR + SHARE_EXTRA
        self.bound = mean * BOUND_FACTOR + BOUND_EXTRA

    def defer_s(self, own: int, yields_to_newer: bool) -> float:
        """How long what comes is left to others. yields_to_newer: to a newer generation, as long as one of that is within its bound."""
        if yields_to_newer and (not self.takers or min(self.takers) < self.bound):
            return DEFER_TO_NEWER_S
        if own < self.share:
            return 0.0
        return DEFER_S * min(own / self.share, DEFER_TIMES_MAX)

    def count(self, own: int, wanted: int) -> int:
        """How many of the `wanted` to read now: up to the share at first."""
        return min(wanted, math.ceil(self.share - own)) if own < self.share < math.inf else wanted

    def surplus(self, own: int) -> int:
        """How many of its sockets a worker beyond its bound has beyond its share, as far as others have less than theirs."""
        if own <= self.bound:
            return 0
        capacity = sum(max(0, int(self.share) - count) for count in self.takers)
        return min(own - int(self.share), capacity)

    def _workers(self, others: int, now: float) -> int:
        """How many stay. One that leaves may be known before its successor is, so the most of the last seconds counts."""
        count = others + (now >= self._began + SUCCEEDS_S)
        self._counts = [(since, before) for since, before in self._counts if now - since < SETTLED_S] + [(now, count)]
        return max(1, *(number for _, number in self._counts))


def can_take(lease: Mapping[str, Any]) -> bool:
    """True if a worker would take one more socket, by what its lease says."""
    free = lease.get("free")
    capacity = free.get("websocket") if type(free) is dict else None
    return type(capacity) is int and capacity > 0 and not lease.get("blocked_s")
