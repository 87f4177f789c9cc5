"""Decides whether a worker takes a new WebSocket or defers to its peers. So no worker has many more than the others.

WebSockets stay with a worker for hours. If the first worker to read took each of them, those of all old workers would go to the first new
worker in a rolling restart, and stay with it. So each worker knows two figures:

* its *share*, a little above the mean: a worker with so many WebSockets defers to others for a moment, and for longer the more it has;
* its *bound*: a worker with more hands over what it has beyond its share, once no worker starts or leaves any more (rebalancing.py).

The mean is the number of all WebSockets, as interface servers count them, divided by the number of workers that stay. It does not depend on
which worker has a WebSocket, so it is the same before, during and after a rolling restart: each new worker takes what its predecessor may
have had, and no more.

The figures of other workers come from their leases, up to two seconds late. Wrong figures cost a few of those moments and nothing else: a
worker that defers takes what is still there afterwards (channel_layer/messaging/deferral.py). PROTOCOL.md, "Adoption"; P7.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from channel_layer.messaging.generations import DEFER_TO_NEWER_S

#: By so much at least a share, and a bound, is above the mean: in small fleets a few sockets are no burden, and not worth a move.
SHARE_FACTOR: Final = 1.1
SHARE_EXTRA: Final = 5
BOUND_FACTOR: Final = 1.25
BOUND_EXTRA: Final = 10
DEFER_S: Final = (
    0.05  #: how long a worker that has its share defers, or twice that; with twice its share, twice as long
)
DEFER_TIMES_MAX: Final = 4
ASKING_S: Final = 5.0  #: a new worker reads the leases of others for so long, whatever they contain
SETTLED_S: Final = 2.5  #: after so long a change is in every lease that was read
#: A new worker counts as the successor of another for so long: the lease of that may not show its drain yet.
SUCCEEDS_S: Final = 1.5

#: Fields of a lease: the worker is about to leave, or defers to a newer generation.
LEAVING: Final = ("draining", "gives_way")


class Placement:
    """The figures of one worker. `share` and `bound` are numbers of WebSockets."""

    __slots__ = ("_began", "_counts", "_most", "bound", "calm", "share", "takers")

    def __init__(self) -> None:
        self.share = self.bound = math.inf  # while there is no other worker
        self.calm = False  #: no worker drains or yields to a newer generation
        self.takers: list[int] = []  #: the number of WebSockets of each peer that would take one more
        self._most = 0
        self._began = math.inf
        self._counts: list[tuple[float, int]] = []

    def needs_leases(self, own: int, now: float) -> bool:
        """True if the leases of others are worth reading: in a fleet without WebSockets they are not."""
        return now < self._began + ASKING_S or max(own, self._most) > BOUND_EXTRA

    def update(self, own: int, leases: Iterable[Mapping[str, Any]], now: float) -> None:
        """Compute the figures anew. own: WebSockets of this worker; leases: those of all other processes."""
        self._began = min(self._began, now)
        counted = [lease for lease in leases if type(lease.get("websockets")) is int]
        workers = [lease for lease in counted if lease.get("role") == "worker"]
        staying = [lease for lease in workers if not lease.get("draining") and can_take(lease)]
        self._most = max((lease["websockets"] for lease in workers), default=0)
        self.calm = not any(lease.get(name) for lease in workers for name in LEAVING)
        self.takers = [lease["websockets"] for lease in staying if not lease.get("gives_way")]
        held = sum(lease["websockets"] for lease in counted if lease.get("role") == "interface")
        if not held:  # interface servers of an earlier version do not report it
            held = own + sum(lease["websockets"] for lease in workers)
        mean = max(held, own) / self._workers(len(staying), now) if staying else math.inf
        self.share = share_of(mean)
        self.bound = bound_of(mean)

    def defer_s(self, own: int, yields_to_newer: bool) -> float:
        """How long this worker defers. yields_to_newer: to a newer generation, while one of its workers is within its bound."""
        if yields_to_newer and (not self.takers or min(self.takers) < self.bound):
            return DEFER_TO_NEWER_S
        if own < self.share:
            return 0.0
        return DEFER_S * min(own / self.share, DEFER_TIMES_MAX)

    def count(self, own: int, wanted: int) -> int:
        """The number of entries to read now, of the `wanted`: up to the share at first."""
        return min(wanted, math.ceil(self.share - own)) if own < self.share < math.inf else wanted

    def surplus(self, own: int) -> int:
        """The number of WebSockets that a worker beyond its bound has beyond its share. Counted as far as others have less than theirs."""
        if own <= self.bound:
            return 0
        capacity = sum(max(0, int(self.share) - count) for count in self.takers)
        return min(own - int(self.share), capacity)

    def _workers(self, others: int, now: float) -> int:
        """The number of workers that stay: the highest of the last seconds.

        The highest, since a worker that leaves may be known before its successor.
        """
        count = others + (now >= self._began + SUCCEEDS_S)
        self._counts = [(since, before) for since, before in self._counts if now - since < SETTLED_S] + [(now, count)]
        return max(1, *(number for _, number in self._counts))


def share_of(mean: float) -> float:
    """How many WebSockets a worker takes before it defers to others."""
    return max(mean * SHARE_FACTOR, mean + SHARE_EXTRA)


def bound_of(mean: float) -> float:
    """How many WebSockets a worker keeps, if it can hand over the others."""
    return max(mean * BOUND_FACTOR, mean + BOUND_EXTRA)


def can_take(lease: Mapping[str, Any]) -> bool:
    """True if a worker would take one more WebSocket, according to its lease."""
    free = lease.get("free")
    capacity = free.get("websocket") if type(free) is dict else None
    return type(capacity) is int and capacity > 0 and not lease.get("blocked_s")
