"""Which worker has too many WebSockets, and why it keeps them: decisions without Redis."""

from __future__ import annotations

from typing import Any

import pytest

from towpath.status.spread import Spread


def worker(node: str, websockets: Any, **more: Any) -> dict[str, Any]:
    free = {"http": 1, "websocket": 1000}
    return {"node": node, "role": "worker", "websockets": websockets, "handing_over": 0, "free": free, **more}


def four(*counts: int, **of_first: Any) -> Spread:
    first, *others = [worker(f"worker.{place}", count) for place, count in enumerate(counts)]
    return Spread([{**first, **of_first}, *others, {"node": "interface.0", "role": "interface", "websockets": 400}])


@pytest.mark.parametrize(
    ("counts", "expected"),
    [((125, 95, 90, 90), True), ((126, 94, 90, 90), False), ((14, 1, 1, 0), True), ((15, 1, 0, 0), False)],
)
def test_a_fleet_is_level_if_no_worker_has_more_than_the_bound(counts: tuple[int, ...], expected: bool) -> None:
    """P7. 1.25 times the mean, or 10 more than it in small fleets."""
    assert four(*counts).is_level is expected


def test_the_excess_is_what_is_beyond_the_bound() -> None:
    assert four(400, 0, 0, 0).excess == 275
    assert four(100, 100, 100, 100).excess == 0


def test_a_fleet_is_not_level_while_sockets_are_on_their_way() -> None:
    """They may come to a worker that is at its bound."""
    assert not four(100, 100, 100, 100, handing_over=3).is_level


def test_the_distribution_is_shown_with_the_mean_and_the_bound() -> None:
    assert str(four(20, 300, 30, 50)) == "300, 50, 30, 20 (mean 100, at most 125)"
    assert str(four(400, 100, 0, 0)) == "400, 100, 0, 0 (mean 100, at most 125)", "100 are on their way"
    assert str(Spread([])) == " (mean 0, at most 10)"


def test_the_mean_is_not_below_what_one_worker_has_whatever_an_older_lease_says() -> None:
    """Workers and interface servers renew their leases at different moments."""
    held = {"node": "interface.0", "role": "interface", "websockets": 45}
    assert str(Spread([worker("worker.0", 60), worker("worker.1", 0), held])) == "60, 0 (mean 30, at most 40)"


def test_a_worker_that_leaves_is_not_counted_and_is_waited_for() -> None:
    """It hands over all that it has."""
    spread = Spread([worker("worker.0", 100), worker("worker.1", 200, draining=True)])
    assert (spread.worker_count, spread.total, spread.changing) == (1, 100, True)


@pytest.mark.parametrize(
    ("of_first", "others", "expected"),
    [
        ({"own_channel": True}, {}, "--sticky"),
        ({"gives_way": True}, {}, "being replaced"),
        ({}, {"free": {"http": 1, "websocket": 0}}, "can take no more"),
        ({}, {}, "not resumable"),
    ],
)
def test_the_reason_is_given_why_a_worker_keeps_too_many(
    of_first: dict[str, Any], others: dict[str, Any], expected: str
) -> None:
    spread = Spread([worker("worker.0", 300, **of_first), *(worker(f"worker.{each}", 0, **others) for each in "12")])
    (sentence,) = spread.obstacles()
    assert sentence.startswith("worker.0 keeps 300: ")
    assert expected in sentence


def test_a_worker_of_an_earlier_version_is_named() -> None:
    """It does not know the request, and levels by itself alone."""
    early = worker("worker.0", 300)
    del early["handing_over"]
    (sentence,) = Spread([early, worker("worker.1", 0)]).obstacles()
    assert "earlier version" in sentence


def test_what_strangers_write_into_leases_is_harmless() -> None:
    spread = Spread([worker("worker.0", "many"), worker("worker.1", 5, handing_over="all", free=None)])
    assert (spread.counts, spread.moving) == ("5", 0)
