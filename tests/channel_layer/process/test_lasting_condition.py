"""When people are told of a condition that lasts: decisions without a clock."""

from __future__ import annotations

from channel_layer.process.lasting_condition import ENDS_AFTER_S, LastingCondition, News

BEGINS_AFTER_S = 2.0


def told(found: str, every_s: float = 1.0) -> list[tuple[float, News]]:
    """What is told when looks find it so: `x` for a look at which the condition holds."""
    condition = LastingCondition(BEGINS_AFTER_S)
    news = ((place * every_s, condition.observe(mark == "x", place * every_s)) for place, mark in enumerate(found))
    return [(now, new) for now, new in news if new is not None]


def test_a_condition_is_told_at_its_beginning_each_minute_and_at_its_end() -> None:
    """First line, each minute, end."""
    assert told("." + "x" * 130 + "..." + "." * 100) == [
        (3.0, News.BEGAN),
        (63.0, News.LASTS),
        (123.0, News.LASTS),
        (133.0, News.ENDED),
    ]


def test_what_comes_and_goes_is_no_condition_and_no_end_of_one() -> None:
    """A worker at its limit is full at most looks, and a healthy one at some."""
    assert told("x.xx.x.xx." * 20) == []
    assert told("xxx" + ".x..x" * 10) == [(2.0, News.BEGAN)]


def test_how_long_it_has_lasted_counts_from_the_first_look_that_found_it() -> None:
    """The figure that tells how long users have waited."""
    condition = LastingCondition(BEGINS_AFTER_S)
    assert [condition.observe(True, now) for now in (10.0, 11.0, 12.0)] == [None, None, News.BEGAN]
    assert condition.lasted_s(12.0) == 2.0
    assert [condition.observe(False, now) for now in (20.0, 22.0)] == [None, News.ENDED]


def test_a_condition_may_begin_at_the_first_look_and_ends_no_sooner_for_that() -> None:
    """Where what is looked at has lasted for a while by itself."""
    condition = LastingCondition(0.0)
    assert condition.observe(True, 5.0) is News.BEGAN
    assert condition.observe(False, 6.0) is None
    assert condition.observe(False, 6.0 + ENDS_AFTER_S) is News.ENDED
