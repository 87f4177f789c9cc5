"""Frequent events: logged at once, then once a minute with their number."""

from __future__ import annotations

from channel_layer.process.rate_limited_log import RateLimitedLog


def test_the_first_event_is_logged_at_once() -> None:
    assert RateLimitedLog().count(1000.0) == 1


def test_within_a_minute_nothing_more_is_logged() -> None:
    log = RateLimitedLog()
    log.count(1000.0)
    assert [log.count(1000.0 + second) for second in (0, 1, 30, 59.9)] == [0, 0, 0, 0]


def test_after_a_minute_the_next_event_is_logged_with_all_that_were_not() -> None:
    """No event is lost from the number."""
    log = RateLimitedLog()
    counts = [log.count(float(second)) for second in range(0, 181, 20)]
    assert counts == [1, 0, 0, 3, 0, 0, 3, 0, 0, 3]
    assert sum(counts) == len(counts)


def test_a_quiet_hour_adds_nothing() -> None:
    log = RateLimitedLog()
    assert [log.count(0.0), log.count(3600.0)] == [1, 1]
