"""The line about connections that wait, and the one that ends it."""

from __future__ import annotations

import logging

import pytest

from interface_server.queue.queue_log import QueueLog
from interface_server.queue.queue_timeouts import QueueTimeouts


def test_the_end_of_a_wait_says_how_many_had_waited_too_long(caplog: pytest.LogCaptureFixture) -> None:
    """No worker came: the line does not speak of one."""
    caplog.set_level(logging.WARNING, "towpath.interface")
    timeouts = QueueTimeouts(3.0, 600.0, 5.0)
    log = QueueLog(timeouts)
    over = 7  # of earlier waits
    for tick in range(40):
        now = tick / 2
        if tick == 4:
            timeouts.begin(1, False, now)
            timeouts.begin(2, False, now)
        for number in timeouts.due(now):
            over += 1
            timeouts.end(number)
        log.check(now, over, True)
    assert caplog.messages == [
        "2 connections wait for a worker, the first of them for 2 s: no worker is there, or all are full or slow",
        "no connection waits for a worker any more, after 4 s; 2 had waited too long by then (--queue-wait)",
    ]


def test_a_redis_that_takes_nothing_is_named(caplog: pytest.LogCaptureFixture) -> None:
    """And one connection is no plural."""
    caplog.set_level(logging.WARNING, "towpath.interface")
    timeouts = QueueTimeouts(30.0, 600.0, 5.0)
    timeouts.begin(1, False, 0.0)
    QueueLog(timeouts).check(2.0, 0, False)
    assert caplog.messages == [
        "1 connection waits for a worker, the first of them for 2 s: Redis is away, or refuses what it is sent"
    ]
