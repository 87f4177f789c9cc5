"""When a worker hands over what it has beyond its share: decisions without a clock. P7."""

from __future__ import annotations

from worker.placement.rebalancing import AT_ONCE, CALM_S, FRUITLESS_S, Rebalancing


def calm(workers: int = 4) -> Rebalancing:
    rebalancing = Rebalancing()
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
        handed_over, now = handed_over + due, now + 0.5
    assert handed_over == 100, "what counts is the surplus at the beginning: leases are late"
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
