"""Reserves the last file descriptors for the process itself: connections to Redis, and everything else that it opens."""

from __future__ import annotations

import logging
import resource
import time
from collections.abc import MutableMapping
from typing import Final

from channel_layer.process.rate_limited_log import RateLimitedLog

log: Final = logging.getLogger("towpath.interface")

SPARE: Final = 32  #: a quarter of them all, if there are few


class SpareDescriptors:
    """The reserve of this process, by its limit at construction."""

    def __init__(self, counters: MutableMapping[str, int]) -> None:
        self._counters = counters
        self._log = RateLimitedLog()
        self.limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        #: The system assigns the lowest free number, so a client with this one would use the reserve.
        self._first = self.limit - min(SPARE, self.limit // 4)

    def admits(self, descriptor: int) -> bool:
        """True if a client may keep this descriptor. A refusal is counted, and logged once a minute; the caller closes it."""
        if descriptor < self._first or self.limit == resource.RLIM_INFINITY:
            return True
        self._counters["refused.no_descriptor"] += 1
        if times := self._log.count(time.monotonic()):
            text = "no file descriptor is left for clients (the limit is %d): %d new connection(s) closed since the last such line"
            log.warning(text, self.limit, times)
        return False
