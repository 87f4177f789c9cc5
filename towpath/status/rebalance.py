"""Asks workers to level the numbers of their WebSockets, and waits until they have. PROTOCOL.md, "Hand-off".

The request is published every second as long as the command runs, so a worker that has missed one hears the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from channel_layer.encryption.encryption import Encryption
from channel_layer.errors import LayerUnavailable
from channel_layer.protocol.codec import pack
from channel_layer.protocol.keys import REBALANCE, Keys
from channel_layer.redis.blocking.client import BlockingClient
from channel_layer.settings import RedisSettings
from towpath.errors import StartFailure
from towpath.status import redis_check
from towpath.status.lease_reader import ANSWER_TIMEOUT_S, LeaseReader
from towpath.status.spread import Spread

INTERVAL_S = 1.0
#: Longer than workers wait for the figures of the others, and leases for theirs.
STALLED_S = 10.0
#: A worker that leaves may take its whole drain.
CHANGING_S = 300.0


class Rebalance:
    """One run of `towpath rebalance`."""

    def __init__(self, url: str, prefix: str, settings: RedisSettings) -> None:
        """settings: those with the encryption keys. Raises StartFailure as LeaseReader."""
        self._leases = LeaseReader(url, prefix, settings)
        self._encryption = Encryption.of(settings)
        source = redis_check.source_of(url)
        self._client = BlockingClient(source, ANSWER_TIMEOUT_S)
        self._news = Keys(prefix, source.current().db).news

    def run(self, report: Callable[[str], None]) -> tuple[int, str]:
        """Wait until no worker has too many; exit code and sentence. report: called with each change of the distribution.

        Raises StartFailure when Redis does not answer.
        """
        spread = Spread(self._leases.read())
        shown, least, progress_at = "", spread.excess, time.monotonic()
        level = spread.is_level
        while not level:
            if spread.counts != shown:
                shown = spread.counts
                report(str(spread))
            self._request()
            time.sleep(INTERVAL_S)
            before, spread, now = spread, Spread(self._leases.read()), time.monotonic()
            level = before.is_level and spread.is_level  # twice: leases are late, and what was on its way is in none
            if spread.moving or spread.excess < least:
                least, progress_at = min(least, spread.excess), now
            if not spread.is_level and now - progress_at > (CHANGING_S if spread.changing else STALLED_S):
                return 1, "; ".join((f"WebSockets by worker: {spread}", *spread.obstacles()))
        if not spread.worker_count:
            return 1, "no worker is alive"
        return 0, f"WebSockets by worker: {spread}"

    def _request(self) -> None:
        self._encryption.refresh()
        news = self._encryption.published(self._news, pack([REBALANCE, ""]))
        try:
            self._client.call("PUBLISH", self._news, news)
        except LayerUnavailable as error:
            raise StartFailure(str(error)) from error
