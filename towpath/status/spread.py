"""How many WebSockets each worker has, by the leases: whether one has too many, and why it keeps them.

A core. The bound is that of the workers (worker/placement/placement.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from channel_layer.process.log_values import printable
from worker.placement.placement import LEAVING, bound_of, can_take


class Spread:
    """The WebSockets of the workers at one moment."""

    def __init__(self, leases: Iterable[Mapping[str, Any]]) -> None:
        """leases: those of all processes, each with the `node` that it belongs to."""
        counted = [lease for lease in leases if type(lease.get("websockets")) is int]
        workers = [lease for lease in counted if lease.get("role") == "worker"]
        self._staying = sorted(
            (lease for lease in workers if not lease.get("draining")), key=lambda lease: -lease["websockets"]
        )
        #: A worker leaves, or is about to be replaced: no WebSockets are handed over for balance meanwhile.
        self.changing = any(lease.get(name) for lease in workers for name in LEAVING)
        self.moving = sum(_handing_over(lease) for lease in self._staying)  #: WebSockets that workers are handing over
        by_worker = [lease["websockets"] for lease in self._staying]
        held = sum(lease["websockets"] for lease in counted if lease.get("role") == "interface")
        self.total = sum(by_worker)
        # Two workers may count a socket that is on its way between them; and the leases of interface servers may be the older ones.
        if held:
            self.total = min(self.total, max(held, *by_worker, 0))
        self._bound = bound_of(self.total / max(1, len(self._staying)))

    @property
    def worker_count(self) -> int:
        """The number of workers that stay."""
        return len(self._staying)

    @property
    def excess(self) -> int:
        """The number of WebSockets that workers have beyond the bound."""
        return sum(lease["websockets"] - int(self._bound) for lease in self._too_many())

    @property
    def is_level(self) -> bool:
        """True if no worker has more than the bound, and none is handing over."""
        return not self._too_many() and not self.moving

    @property
    def counts(self) -> str:
        """The number of WebSockets of each worker, the highest first, for people."""
        return ", ".join(str(lease["websockets"]) for lease in self._staying)

    def __str__(self) -> str:
        mean = self.total / max(1, len(self._staying))
        return f"{self.counts} (mean {mean:.3g}, at most {int(self._bound)})"

    def obstacles(self) -> list[str]:
        """A sentence for each worker that keeps more than the bound, with the reason as far as the leases show it."""
        return [
            f"{printable(lease['node'])} keeps {lease['websockets']}: {self._obstacle(lease)}"
            for lease in self._too_many()
        ]

    def _obstacle(self, lease: Mapping[str, Any]) -> str:
        if lease.get("own_channel"):
            return "with --sticky clients stay with their worker"
        if "handing_over" not in lease:
            return "it is of an earlier version, which does not know this command"
        if self.changing:
            return "a worker leaves or is being replaced; try again when it has gone"
        if not any(map(can_take, self._below())):
            return "the workers that have fewer can take no more; see --worker-websockets"
        return "the applications of the others do not let go of them: they are not resumable, or busy"

    def _too_many(self) -> list[Mapping[str, Any]]:
        return [lease for lease in self._staying if lease["websockets"] > self._bound]

    def _below(self) -> list[Mapping[str, Any]]:
        return [lease for lease in self._staying if lease["websockets"] < self._bound]


def _handing_over(lease: Mapping[str, Any]) -> int:
    count = lease.get("handing_over")
    return count if type(count) is int else 0
