"""Keeps the last file descriptors free of clients: links to Redis, and whatever else this process opens, need some too."""

from __future__ import annotations

import logging
import resource
import time
from collections.abc import MutableMapping

from channel_layer.process.rate_limited_log import RateLimitedLog

log = logging.getLogger("towpath.interface")

SPARE = 32  #: of few descriptors a quarter


class SpareDescriptors:
    """Of this process, by its limit at the time of making."""

    def __init__(self, counters: MutableMapping[str, int]) -> None:
        self._counters = counters
        self._log = RateLimitedLog()
        self.limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        #: The system gives out the lowest number that is free: a client with this one would take from the spare.
        self._first = self.limit - min(SPARE, self.limit // 4)

    def admits(self, descriptor: int) -> bool:
        """True if a client may keep this descriptor. False: close it; that is counted, and told once a minute."""
        if descriptor < self._first or self.limit == resource.RLIM_INFINITY:
            return True
        self._counters["refused.no_descriptor"] += 1
        if times := self._log.count(time.monotonic()):
            text = "no file descriptor is left for clients (the limit is %d): %d new connection(s) closed since this was told last"
            log.warning(text, self.limit, times)
        return False
