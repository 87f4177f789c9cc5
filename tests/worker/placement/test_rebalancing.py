"""When a worker hands over what it has beyond its share: decisions without a clock. P7."""

from __future__ import annotations

from worker.placement.placement import SETTLED_S
from worker.placement.rebalancing import (
    AT_ONCE_S,
    CALM_S,
    FRUITLESS_S,
    REQUESTED_PER_S,
    REQUESTED_S,
    Rebalancing,
)

PER_S = 50
AT_ONCE = int(PER_S * AT_ONCE_S)
TICK_S = 0.5


def calm(workers: int = 4, per_s: int = PER_S) -> Rebalancing:
    rebalancing = Rebalancing(per_s)
    assert rebalancing.due(100, workers, calm=True, now=0.0) == 0
    return rebalancing


def test_a_surplus_is_handed_over_some_at_a_time_once_all_is_calm() -> None:
    """P7. And then figures have to settle before there is another look."""
    rebalancing = calm()
    assert rebalancing.due(100, 4, True, CALM_S - 0.1) == 0
    handed_over, now = 0, CALM_S
    while due := rebalancing.due(100 - handed_over, 4, True, now):
        assert due <= AT_ONCE
        rebalancing.handed_over(due, due, now)
        handed_over, now = handed_over + due, now + TICK_S
    assert handed_over == 100, "what counts is the surplus at the beginning: leases are late"
    assert now == CALM_S + 100 / PER_S
    assert rebalancing.due(50, 4, True, now + CALM_S - 1.0) == 0
    assert rebalancing.due(50, 4, True, now + CALM_S) == AT_ONCE


def test_nothing_is_handed_over_while_workers_come_and_go() -> None:
    """P7. In a rolling restart it would move twice."""
    rebalancing = calm()
    assert rebalancing.due(100, 4, False, CALM_S) == 0
    assert rebalancing.due(100, 4, True, CALM_S + 1.0) == 0
    assert rebalancing.due(100, 5, True, 2 * CALM_S) == 0
    assert rebalancing.due(100, 5, True, 3 * CALM_S) == AT_ONCE
    rebalancing.handed_over(AT_ONCE, AT_ONCE, 3 * CALM_S)
    assert rebalancing.due(75, 5, False, 3 * CALM_S + 0.5) == 0


def test_where_sockets_are_not_resumable_it_is_tried_once_a_minute() -> None:
    """Nobody looks through 20 000 sockets twice a second for nothing."""
    rebalancing = calm()
    assert rebalancing.due(100, 4, True, CALM_S) == AT_ONCE
    rebalancing.handed_over(AT_ONCE, 3, CALM_S)
    assert rebalancing.due(97, 4, True, CALM_S + FRUITLESS_S) == 0
    assert rebalancing.due(97, 4, True, CALM_S + FRUITLESS_S + CALM_S) == AT_ONCE


def test_the_rate_is_kept_where_it_is_less_than_one_in_each_tick() -> None:
    """`--rebalance-rate 1` is one a second."""
    rebalancing, handed_over, now = calm(per_s=1), 0, CALM_S
    while now < CALM_S + 20:
        due = rebalancing.due(100, 4, True, now)
        rebalancing.handed_over(due, due, now)
        handed_over, now = handed_over + due, now + TICK_S
    assert handed_over == 20


def test_a_request_waits_until_figures_are_settled_and_no_longer() -> None:
    """P7. Its rate is faster; when it is no longer repeated, the rate is the usual one again."""
    rebalancing = calm(5)
    rebalancing.request(0.5)
    assert rebalancing.due(1000, 4, True, 1.0) == 0, "a worker has left: its successor may be there, and not known yet"
    assert rebalancing.due(1000, 4, True, 0.9 + SETTLED_S) == 0
    assert rebalancing.due(1000, 4, True, 1.0 + SETTLED_S) == REQUESTED_PER_S * AT_ONCE_S
    assert rebalancing.due(1000, 4, True, 0.5 + REQUESTED_S) == AT_ONCE


def test_a_request_tries_again_where_an_attempt_was_fruitless() -> None:
    """An operator who asks may have mended what was in the way."""
    rebalancing = calm()
    due = rebalancing.due(1000, 4, True, CALM_S)
    rebalancing.handed_over(due, 0, CALM_S)
    rebalancing.request(CALM_S + 1.0)
    assert rebalancing.due(1000, 4, True, CALM_S + 1.0) == 0
    assert rebalancing.due(1000, 4, True, CALM_S + 1.0 + SETTLED_S)


def test_without_a_rate_nothing_is_handed_over_but_on_request() -> None:
    """`--rebalance-rate 0`."""
    rebalancing = calm(per_s=0)
    assert rebalancing.due(1000, 4, True, CALM_S) == 0
    rebalancing.request(CALM_S)
    assert rebalancing.due(1000, 4, True, CALM_S + 1.0) == REQUESTED_PER_S * AT_ONCE_S
    assert rebalancing.due(1000, 4, True, CALM_S + REQUESTED_S) == 0
    assert rebalancing.left == 0
