"""When people are told that a connection to Redis is lost, for how long, and that it is back."""

from __future__ import annotations

import logging

import pytest

from channel_layer.protocol.illegal_move import IllegalMove
from channel_layer.redis.connection_log import MOVES, ConnectionLog, LossState
from channel_layer.redis.outage import Outage

LOST, BACK = "lost the connection to Redis (inbox): closed by Redis", "connected to Redis again (inbox)"


def test_what_is_ended_on_purpose_soon_after_a_loss_is_no_news_either(caplog: pytest.LogCaptureFixture) -> None:
    """The looks that missed the one say nothing about the other, which has as long to come back as any."""
    caplog.set_level(logging.INFO, "towpath")
    connection_log = ConnectionLog("inbox", Outage())
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
    connection_log = ConnectionLog("inbox", Outage())
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


@pytest.mark.parametrize("after", LossState)
@pytest.mark.parametrize("before", LossState)
def test_a_move_that_the_table_does_not_have_raises(before: LossState, after: LossState) -> None:
    """It would be a bug of ours, and is not to be seen as a missing or a needless line."""
    connection_log = ConnectionLog("inbox", Outage())
    connection_log._state = before
    if after in MOVES[before]:
        connection_log._enter(after)
        assert connection_log._state is after
    else:
        with pytest.raises(IllegalMove, match=f"from {before.name} to {after.name}"):
            connection_log._enter(after)
        assert connection_log._state is before


@pytest.mark.parametrize(
    "losses", [("lost",), ("expect_loss", "lost", "missed"), ("expect_loss", "lost", "missed", "missed")]
)
def test_each_loss_ends_with_the_new_connection(losses: tuple[str, ...]) -> None:
    """Whatever was logged by then, and whatever comes a second time."""
    connection_log = ConnectionLog("inbox", Outage())
    for call in losses:
        for _ in range(1 if call == "missed" else 2):
            arguments = {"lost": ("closed by Redis", 0.0), "missed": (1.0,)}.get(call, ())
            getattr(connection_log, call)(*arguments)
    connection_log.expect_loss()
    for _ in range(2):
        connection_log.restored()
    assert connection_log._state is LossState.HERE


def test_a_loss_that_was_reported_is_reported_to_be_over_even_if_the_connection_is_ended_on_purpose_meanwhile(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A line that stays without its counterpart looks like an outage that lasts."""
    caplog.set_level(logging.INFO, "towpath")
    connection_log = ConnectionLog("inbox", Outage())
    connection_log.lost("closed by Redis", 0.0)
    connection_log.expect_loss()
    connection_log.restored()
    assert caplog.messages == [LOST, BACK]


def test_an_outage_is_one_line_at_its_beginning_one_each_minute_and_one_at_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A process has a connection for each purpose: what happens to all of them together is told once."""
    caplog.set_level(logging.INFO, "towpath")
    outage = Outage()
    logs = [ConnectionLog(what, outage) for what in ("commands", "inbox", "groups")]
    for each in logs:
        each.lost("closed by Redis", 0.0)
    for second in range(1, 71):
        for each in logs:
            each.attempt_failed("unreachable")
            each.missed(float(second))
    for each in logs:
        each.restored()
    assert caplog.messages == [
        "lost the connection to Redis (commands): closed by Redis",
        "no connection to Redis for 5 s (commands, and 2 others): unreachable",
        "no connection to Redis for 65 s (commands, and 2 others): unreachable",
        "connected to Redis again (all 3 connections)",
    ]
    logs[1].lost("closed by Redis", 100.0)
    assert caplog.messages[4:] == ["lost the connection to Redis (inbox): closed by Redis"]


def test_a_connection_that_is_given_up_ends_no_outage_and_hides_none(caplog: pytest.LogCaptureFixture) -> None:
    """The last line is about those that are still wanted."""
    caplog.set_level(logging.INFO, "towpath")
    outage = Outage()
    one, other = ConnectionLog("channel a", outage), ConnectionLog("inbox", outage)
    one.lost("closed by Redis", 0.0)
    other.lost("closed by Redis", 0.0)
    one.missed(5.0)
    one.close()
    for second in range(5, 12):  # the next in the line says no more than the first would have said
        other.missed(float(second))
    other.restored()
    assert caplog.messages[1:] == [
        "no connection to Redis for 5 s (channel a, and 1 other): closed by Redis",
        "connected to Redis again (all 2 connections)",
    ]
