"""How many connections are away at a time, and which of them speaks for all."""

from __future__ import annotations

from channel_layer.redis.outage import Outage


def test_the_first_that_was_lost_speaks_until_it_is_back() -> None:
    """Then the next one does."""
    outage, one, other, third = Outage(), object(), object(), object()
    assert outage.lost(one) and not outage.lost(other) and not outage.lost(third)
    assert outage.is_first(one) and outage.others() == ", and 2 others"
    assert outage.over(one) == 0
    assert outage.is_first(other) and outage.others() == ", and 1 other"
    assert outage.over(other) == 0
    assert outage.over(third) == 3


def test_each_outage_counts_for_itself() -> None:
    """A return that nobody awaits is none."""
    outage, one, other = Outage(), object(), object()
    outage.lost(one)
    outage.lost(other)
    outage.over(one)
    assert outage.over(other) == 2
    assert outage.over(other) == 0
    assert outage.lost(one) and outage.others() == ""
    assert outage.over(one) == 1
