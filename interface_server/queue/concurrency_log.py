"""Logs when all places of an interface server (`--limit-concurrency`) are taken, and when that ends.

Checked once a second.
"""

from __future__ import annotations

import logging
from typing import Final

from channel_layer.process.lasting_condition import LastingCondition, News

log: Final = logging.getLogger("towpath.interface")

BEGINS_AFTER_S: Final = 1.0


class ConcurrencyLog:
    """The log of one interface server."""

    def __init__(self, limit: int) -> None:
        self._places = f"{limit} places of this interface server (--limit-concurrency)"
        self._condition = LastingCondition(BEGINS_AFTER_S)

    def check(self, full: bool, now: float) -> None:
        """full: no place is free. now: monotonic seconds."""
        match self._condition.observe(full, now):
            case News.BEGAN:
                log.warning("all %s are taken: others get 503 until one is free", self._places)
            case News.LASTS:
                log.warning("all %s have been taken for %.0f s", self._places, self._condition.lasted_s(now))
            case News.ENDED:
                lasted_s = self._condition.lasted_s(now)
                log.warning("not all %s are taken any more; they were for %.0f s", self._places, lasted_s)
