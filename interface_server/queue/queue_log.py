"""Logs when connections of this interface server wait and no worker takes them, and when that ends.

Checked twice a second. Other interface servers log their own.
"""

from __future__ import annotations

import logging
from typing import Final

from channel_layer.process.lasting_condition import LastingCondition, News
from interface_server.queue.queue_timeouts import QueueTimeouts

log: Final = logging.getLogger("towpath.interface")

LONG_S: Final = 1.0  #: a wait that is logged
OF_WORKERS: Final = "no worker is there, or all are full or slow"
OF_REDIS: Final = "Redis is away, or refuses what it is sent"


class QueueLog:
    """The log of one interface server."""

    def __init__(self, timeouts: QueueTimeouts) -> None:
        self._timeouts = timeouts
        self._condition = LastingCondition(0.0)  # a wait has lasted by itself
        self._over = 0  # how many waits were over before it began

    def check(self, now: float, over: int, redis_takes: bool) -> None:
        """now: monotonic seconds. over: how many waits have lasted too long, by now. redis_takes: it takes what is sent."""
        longest_s = self._timeouts.longest_s(now)
        news = self._condition.observe(longest_s > LONG_S, now)
        if news is News.BEGAN:
            self._over = over
        if news is News.ENDED:
            text = (
                "no connection waits for a worker any more, after %.0f s; %d had waited too long by then (--queue-wait)"
            )
            log.warning(text, self._condition.lasted_s(now), over - self._over)
        elif news is not None:
            count = len(self._timeouts)
            who = "1 connection waits for a worker" if count == 1 else f"{count} connections wait for a worker"
            log.warning(
                "%s, the first of them for %.0f s: %s",
                who,
                longest_s,
                OF_WORKERS if redis_takes else OF_REDIS,
            )
