"""A full Redis refuses thousands of commands a second: people read of it twice."""

from __future__ import annotations

import logging

import pytest

from channel_layer.process.rejection_log import QUIET_S, REPEAT_S, RejectionLog

log = logging.getLogger("towpath.test")
BEGIN = 1000.0


def refuse_for(rejections: RejectionLog, seconds: int, begin: float = BEGIN) -> float:
    """A hundred rejections in each second; when the last one was."""
    moments = [begin + number / 100 for number in range(seconds * 100)]
    for now in moments:
        rejections.rejected("OOM", now)
    return moments[-1]


def test_rejections_are_told_when_they_begin_and_when_they_are_over(caplog: pytest.LogCaptureFixture) -> None:
    rejections = RejectionLog(log, "new connections")
    last = refuse_for(rejections, 4)
    assert rejections.count == 400
    rejections.accepted(last + QUIET_S)
    rejections.accepted(last + QUIET_S)
    assert caplog.messages == [
        "Redis refused new connections: OOM",
        "Redis does not refuse new connections any more; it did 400 times",
    ]
    assert not rejections.count


def test_who_is_refused_and_served_by_turns_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    """Near its limit Redis takes one and refuses the next."""
    rejections = RejectionLog(log, "new connections")
    for number in range(100):
        rejections.rejected("OOM", BEGIN + number / 100)
        rejections.accepted(BEGIN + number / 100)
    assert len(caplog.messages) == 1


def test_rejections_that_last_are_told_each_minute(caplog: pytest.LogCaptureFixture) -> None:
    """Who begins to read the log in the middle of it learns what is the matter."""
    refuse_for(RejectionLog(log, "new connections"), 2 * int(REPEAT_S) + 1)
    assert [message.partition(":")[0] for message in caplog.messages] == [
        "Redis refused new connections",
        "Redis refused new connections (6001 times by now)",
        "Redis refused new connections (12001 times by now)",
    ]


def test_the_next_spell_is_news_again(caplog: pytest.LogCaptureFixture) -> None:
    rejections = RejectionLog(log, "new connections")
    last = refuse_for(rejections, 1)
    rejections.accepted(last + QUIET_S)
    refuse_for(rejections, 1, last + 2 * QUIET_S)
    assert caplog.messages.count("Redis refused new connections: OOM") == 2


def test_a_second_after_the_last_rejection_it_is_quiet() -> None:
    rejections = RejectionLog(log, "new connections")
    last = refuse_for(rejections, 1)
    assert not rejections.is_quiet(last + QUIET_S / 2) and rejections.is_quiet(last + QUIET_S)
