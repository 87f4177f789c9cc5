"""A check, before anything is started, for processes under the same prefix that have other encryption keys, or none."""

from __future__ import annotations

import time

from channel_layer.settings import RedisSettings
from towpath.errors import StartFailure
from towpath.status.lease_reader import LeaseReader

POLL_S = 0.5


def check(redis: str, prefix: str, settings: RedisSettings) -> None:
    """Raise StartFailure if there are any, once the lease of a dead one would be over. settings: those with the keys.

    A process checks again when it has written its lease: others may start at the same moment.
    """
    reader = LeaseReader(redis, prefix, settings)
    end = time.monotonic() + settings.lease_ttl_s
    try:
        while why := reader.unreadable(reader.read()):
            if time.monotonic() > end:
                raise StartFailure(why)
            time.sleep(POLL_S)
    finally:
        reader.close()
