"""Messages of groups and third parties that reach no socket: each is counted, and one a minute is logged."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import MutableMapping
from typing import Final

from channel_layer.process.rate_limited_log import RateLimitedLog

log: Final = logging.getLogger("towpath.interface")


class DroppedMessages:
    """The dropped messages of one process."""

    def __init__(self, counters: MutableMapping[str, int]) -> None:
        self._counters = counters
        self._logs: defaultdict[str, RateLimitedLog] = defaultdict(RateLimitedLog)
        self._loop = asyncio.get_running_loop()

    def log(self, counter: str, where: str, why: str) -> None:
        """Count one more, for the reason that has this counter. where: the group or the reply channel."""
        self._counters[counter] += 1
        if times := self._logs[counter].count(self._loop.time()):
            log.warning("dropped a message to %s: %s; %d such since the last such line", where, why, times)
