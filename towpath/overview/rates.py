"""Rates: how much was added per second, between two readings, to the figures that only grow. No I/O.

A process reports its own uptime beside its figures, so its rates do not depend on when its lease was renewed or read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from towpath.status.state import Status

TOTAL_SUFFIX = "_total"  #: of figures that only grow
UP_S = "up_s"  #: how long a process has run, by its own monotonic clock
WINDOW_S = 5.0  #: rates are means over so long: leases are renewed once a second, and one renewal may be late


@dataclass(frozen=True, slots=True)
class Rates:
    """Per second. What was not there at the earlier reading has none."""

    processes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  #: by node; then by figure: `opened`
    queues: Mapping[str, float] = field(default_factory=dict)  #: messages that were added to a channel


NO_RATES = Rates()


def rates(before: Status, now: Status, passed_s: float) -> Rates:
    """The rates between two readings. passed_s: between them, for what reports no uptime."""
    earlier = {lease["node"]: lease for lease in before.processes}
    processes = {
        lease["node"]: found
        for lease in now.processes
        if lease["node"] in earlier and (found := _of_process(earlier[lease["node"]], lease, passed_s))
    }
    added = {queue.channel: queue.added_total for queue in before.queues}
    queues = {
        queue.channel: rate
        for queue in now.queues
        if (rate := _rate(added.get(queue.channel), queue.added_total, passed_s)) is not None
    }
    return Rates(processes, queues)


class Readings:
    """The readings of the last seconds."""

    def __init__(self) -> None:
        self._kept: deque[tuple[float, Status]] = deque()

    def add(self, status: Status, now: float) -> Rates:
        """Keep a reading, and return its rates against the oldest of the last seconds. now: monotonic seconds."""
        while len(self._kept) > 1 and now - self._kept[0][0] > WINDOW_S:
            self._kept.popleft()
        found = NO_RATES
        if self._kept:
            read_at, before = self._kept[0]
            found = rates(before, status, now - read_at)
        self._kept.append((now, status))
        return found


def _of_process(before: Mapping[str, Any], now: Mapping[str, Any], passed_s: float) -> dict[str, float]:
    up_s = _difference(before.get(UP_S), now.get(UP_S))
    found = {
        name.removesuffix(TOTAL_SUFFIX): _rate(before.get(name), value, passed_s if up_s is None else up_s)
        for name, value in now.items()
        if name.endswith(TOTAL_SUFFIX)
    }
    return {name: rate for name, rate in found.items() if rate is not None}


def _rate(before: Any, now: Any, passed_s: float) -> float | None:
    added = _difference(before, now)
    return None if added is None or added < 0 or passed_s <= 0 else added / passed_s


def _difference(before: Any, now: Any) -> float | None:
    """None unless both are figures: a lease may contain anything."""
    return now - before if type(before) in (int, float) and type(now) in (int, float) else None
