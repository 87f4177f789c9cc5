"""Logs that a worker has no capacity for more connections: when it begins, while it lasts, when it ends.

Checked twice a second, together with the figures for the lease.
"""

from __future__ import annotations

import logging
from typing import Final

from channel_layer.process.lasting_condition import LastingCondition, News
from worker.connections.interfaces import ApplicationHost

log: Final = logging.getLogger("towpath.worker")

BEGINS_AFTER_S: Final = 1.0


class ShortageLog:
    """The log of one application host."""

    def __init__(self, host: ApplicationHost) -> None:
        self._host = host
        self._conditions: dict[str, LastingCondition] = {}

    def check(self, now: float) -> None:
        """Check each limited resource. now: monotonic seconds."""
        for what, taken in self._host.taken().items():
            condition = self._conditions.setdefault(what, LastingCondition(BEGINS_AFTER_S))
            match condition.observe(taken, now):
                case News.BEGAN:
                    log.warning("all %s are taken: this worker takes no more until one is free", what)
                case News.LASTS:
                    log.warning("all %s have been taken for %.0f s", what, condition.lasted_s(now))
                case News.ENDED:
                    log.warning("not all %s are taken any more; they were for %.0f s", what, condition.lasted_s(now))
