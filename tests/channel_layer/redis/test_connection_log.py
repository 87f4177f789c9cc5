"""When people are told that a connection to Redis is lost, for how long, and that it is back."""

from __future__ import annotations

import logging

import pytest

from channel_layer.redis.connection_log import ConnectionLog

LOST, BACK = "lost the connection to Redis (inbox): closed by Redis", "connected to Redis again (inbox)"


def test_what_is_ended_on_purpose_soon_after_a_loss_is_no_news_either(caplog: pytest.LogCaptureFixture) -> None:
    """The looks that missed the one say nothing about the other, which has as long to come back as any."""
    caplog.set_level(logging.INFO, "towpath")
    connection_log = ConnectionLog("inbox")
    connection_log.lost("closed by Redis", 0.0)
    connection_log.missed(1.0)
    connection_log.restored()
    assert caplog.messages == [LOST, BACK]
    connection_log.expect_loss()
    connection_log.lost("closed by Redis", 2.0)
    connection_log.missed(3.0)
    assert caplog.messages == [LOST, BACK]
    connection_log.missed(4.0)
    connection_log.missed(5.0)
    assert caplog.messages == [LOST, BACK, LOST]


def test_a_redis_that_stays_away_is_told_again_each_minute_with_the_latest_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Who looks at 3 a.m. does not have to look for the line of midnight, nor for a reason in another line."""
    caplog.set_level(logging.INFO, "towpath")
    connection_log = ConnectionLog("inbox")
    connection_log.lost("closed by Redis", 0.0)
    for second in range(1, 131):
        connection_log.attempt_failed("unreachable" if second < 60 else "max number of clients reached")
        connection_log.missed(float(second))
    assert caplog.messages == [
        LOST,
        "no connection to Redis for 5 s (inbox): unreachable",
        "no connection to Redis for 65 s (inbox): max number of clients reached",
        "no connection to Redis for 125 s (inbox): max number of clients reached",
    ]
    connection_log.restored()
    connection_log.lost("closed by Redis", 200.0)
    connection_log.missed(204.0)
    assert caplog.messages[4:] == [BACK, LOST]
