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


class QueueLog:
    """The log of one interface server."""

    def __init__(self, timeouts: QueueTimeouts) -> None:
        self._timeouts = timeouts
        self._condition = LastingCondition(0.0)  # a wait has lasted by itself

    def check(self, now: float) -> None:
        """now: monotonic seconds."""
        longest_s = self._timeouts.longest_s(now)
        news = self._condition.observe(longest_s > LONG_S, now)
        if news is News.ENDED:
            log.warning("workers take what is queued again, after %.0f s", self._condition.lasted_s(now))
        elif news is not None:
            text = "%d connections wait for a worker, the first of them for %.0f s: no worker is there, or all are full or slow"
            log.warning(text, len(self._timeouts), longest_s)
