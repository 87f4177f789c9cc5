"""Rates: what was added per second between two readings."""

from __future__ import annotations

from typing import Any

from towpath.overview.rates import WINDOW_S, Readings, rates
from towpath.status.state import Queue, Status


def reading(*leases: dict[str, Any], added: int | None = None) -> Status:
    return Status(leases, (Queue("http.request", 0, 0.0, added_total=added),))


def test_a_process_measures_by_its_own_clock() -> None:
    """Its figures are as old as its lease, which is renewed once a second, whenever it is read."""
    before = {"node": "interface.a", "opened_total": 100, "up_s": 10.0}
    now = {"node": "interface.a", "opened_total": 150, "up_s": 12.0}
    found = rates(reading(before), reading(now), 7.0)
    assert found.processes == {"interface.a": {"opened": 25.0}}


def test_without_an_uptime_the_time_between_the_readings_counts() -> None:
    found = rates(
        reading({"node": "a", "opened_total": 0}, added=10), reading({"node": "a", "opened_total": 8}, added=30), 4.0
    )
    assert found.processes == {"a": {"opened": 2.0}}
    assert found.queues == {"http.request": 5.0}


def test_what_was_not_there_before_has_no_rate() -> None:
    """Nor what began anew, what is no figure, and a lease that was not renewed in between."""
    before = reading(
        {"node": "a", "odd_total": "x", "less_total": 9, "new": 1}, {"node": "b", "up_s": 3.0, "opened_total": 1}
    )
    now = reading(
        {"node": "a", "odd_total": 1, "less_total": 2, "late_total": 5},
        {"node": "b", "up_s": 3.0, "opened_total": 1},
        {"node": "c", "opened_total": 7},
        added=4,
    )
    found = rates(before, now, 1.0)
    assert not found.processes and not found.queues


def test_rates_are_means_over_the_last_seconds() -> None:
    """The first reading has none; a pause that is longer than the window is bridged by the last reading before it."""
    readings = Readings()

    def opened(total: int, at_s: float) -> float | None:
        return readings.add(reading({"node": "a", "opened_total": total}), at_s).processes.get("a", {}).get("opened")

    assert opened(0, 0.0) is None
    assert opened(10, 1.0) == 10.0
    assert opened(40, WINDOW_S) == 40 / WINDOW_S
    assert opened(60, WINDOW_S + 1) == 50 / WINDOW_S
    assert opened(1060, 100 + WINDOW_S + 1) == 10.0
