"""Reads from Redis which processes are alive and what waits. PROTOCOL.md, "Keys". Nothing is written or scanned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.exceptions import RedisError, ResponseError

from channel_layer.errors import LayerUnavailable
from channel_layer.protocol.keys import GROUP, HTTP_CHANNEL, WEBSOCKET_CHANNEL, Keys
from channel_layer.redis.blocking.primary_finder import PrimaryFinder
from channel_layer.redis.rejection_reasons import explained
from channel_layer.settings import RedisSettings
from towpath.errors import StartFailure
from towpath.status import redis_check
from towpath.status.lease_reader import ANSWER_TIMEOUT_S, NO_KEYS, LeaseReader
from towpath.status.receivers import Receivers
from towpath.status.redis_client import redis_client
from towpath.status.report import Queue, Status

#: How many channels that no lease names are looked at, and how many of them are shown.
CHANNELS_MAX, SHOWN_MAX = 1_000, 20


class RedisStatus:
    """Reads as often as it is asked to."""

    def __init__(self, url: str, prefix: str, settings: RedisSettings = NO_KEYS) -> None:
        """settings: those with the encryption keys. Raises StartFailure as LeaseReader."""
        self._leases = LeaseReader(url, prefix, settings)
        self._source = redis_check.source_of(url)
        self._finder = PrimaryFinder(self._source)
        self._keys = Keys(prefix)

    def read(self) -> Status:
        """The state of now. StartFailure when Redis does not answer."""
        leases = tuple(self._leases.read())
        try:
            return self._status(leases)
        except LayerUnavailable as error:
            raise StartFailure(str(error)) from error
        except (RedisError, OSError) as error:
            shown = self._source.current().shown
            raise StartFailure(f"Redis at {shown} is unreachable: {explained(error)}") from error

    def close(self) -> None:
        """Close the connection."""
        self._leases.close()

    def _status(self, leases: tuple[dict[str, Any], ...]) -> Status:
        receivers = Receivers(leases)
        with redis_client(self._source.current(), self._finder.find(), ANSWER_TIMEOUT_S) as client:
            reading = _Reading(client, self._keys)
            channels = (HTTP_CHANNEL, WEBSOCKET_CHANNEL, *receivers.named, *reading.others(receivers.named))
            queues = tuple(reading.queue(channel, receivers) for channel in channels)
        return Status(leases, queues, reading.now_ms / 1000, unreadable=self._leases.unreadable(leases))


class _Reading:
    """What one reading finds. client: redis-py's, whose types do not express that answers are bytes: hence `Any`."""

    def __init__(self, client: Any, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        seconds, microseconds = client.time()
        self.now_ms = seconds * 1000 + microseconds // 1000

    def others(self, named: Sequence[str]) -> list[str]:
        """Further shared channels in which messages wait. The deepest of them."""
        names = [name.decode() for name in self._client.zrange(self._keys.shared_channels, 0, CHANNELS_MAX - 1)]
        names = [name for name in names if name not in named]
        with self._client.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.xlen(self._keys.channel(name))
            depths = pipeline.execute()
        deepest = sorted(((-depth, name) for name, depth in zip(names, depths, strict=True) if depth))
        return [name for _, name in deepest[:SHOWN_MAX]]

    def queue(self, channel: str, receivers: Receivers) -> Queue:
        """What waits in a channel, and for how many processes."""
        key = self._keys.channel(channel)
        depth: int = self._client.xlen(key)
        first = self._client.xrange(key, count=1)
        age_ms = self.now_ms - int(first[0][0].split(b"-")[0]) if first else 0
        receiver_count = receivers.count(channel, self._consumers(key))
        return Queue(channel, depth, max(0, age_ms) / 1000, receiver_count, channel in receivers.dead_letters)

    def _consumers(self, key: str) -> Any:
        """The consumers of a stream; none if no process has ever received from it."""
        try:
            return self._client.xinfo_consumers(key, GROUP)
        except ResponseError:  # no such key, or no such group
            return ()
