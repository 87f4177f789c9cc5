"""Reads from Redis which processes are alive and what waits. PROTOCOL.md, "Keys". Nothing is written or scanned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.exceptions import RedisError, ResponseError

from channel_layer.encryption.agreement import KEY_IDS, disagreement
from channel_layer.encryption.encryption import Encryption
from channel_layer.process.local_process import identity
from channel_layer.protocol.keys import GROUP, HTTP_CHANNEL, WEBSOCKET_CHANNEL, Keys
from channel_layer.redis.blocking_client import blocking_client
from channel_layer.settings import RedisSettings
from towpath.errors import StartFailure
from towpath.status import redis_check
from towpath.status.receivers import Receivers
from towpath.status.report import Queue, Status

ANSWER_TIMEOUT_S = 2.0
NO_KEYS = RedisSettings()
#: How many channels that no lease names are looked at, and how many of them are shown.
CHANNELS_MAX, SHOWN_MAX = 1_000, 20
SCALARS = (str, int, float, bool, type(None))


class RedisStatus:
    """One connection for many reads. Answers are bytes, which redis-py's types do not express: hence `Any`."""

    def __init__(self, url: str, prefix: str, settings: RedisSettings = NO_KEYS) -> None:
        """settings: those with the encryption keys.

        Raises StartFailure for a URL that is none, or a file without one, and for keys that cannot be used.
        """
        try:
            self._encryption = Encryption.of(settings)
        except ValueError as error:
            raise StartFailure(str(error)) from error
        self._source = redis_check.source_of(url)
        self._client: Any = blocking_client(self._source, ANSWER_TIMEOUT_S)
        self._keys = Keys(prefix)

    def read(self) -> Status:
        """The state of now. StartFailure when Redis does not answer."""
        try:
            seconds, microseconds = self._client.time()
            now_ms = seconds * 1000 + microseconds // 1000
            leases = tuple(self._leases())
            receivers = Receivers(leases)
            channels = (HTTP_CHANNEL, WEBSOCKET_CHANNEL, *receivers.named, *self._others(receivers.named))
            queues = tuple(self._queue(channel, now_ms, receivers) for channel in channels)
            return Status(leases, queues, now_ms / 1000, unreadable=self._unreadable(leases))
        except (RedisError, OSError) as error:
            raise redis_check.failure(self._source.current(), error) from error

    def ready_pids(self) -> frozenset[int]:
        """The process numbers on this machine that hold a lease; none while Redis does not answer.

        Other machines may share the Redis and the prefix, and their processes have the same numbers.
        """
        here = identity()["machine"]
        try:
            pids = [lease.get("pid") for lease in self._leases() if lease.get("machine") == here]
            return frozenset(pid for pid in pids if type(pid) is int)
        except (RedisError, OSError):
            return frozenset()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _leases(self) -> list[dict[str, Any]]:
        self._encryption.refresh()
        names = [name.decode(errors="replace") for name in self._client.zrange(self._keys.nodes, 0, -1)]
        if not names:
            return []
        packed = self._client.mget([self._keys.lease(name) for name in names])
        return [self._lease(name, lease) for name, lease in zip(names, packed, strict=True) if lease is not None]

    def _lease(self, name: str, packed: bytes) -> dict[str, Any]:
        """The plain fields of a lease: figures and text. A lease that cannot be read is shown by its name alone."""
        fields = self._encryption.lease_facts(self._keys.lease(name), packed) or {}
        ids = fields.get(KEY_IDS)
        if isinstance(ids, list) and all(isinstance(each, str) for each in ids):
            fields[KEY_IDS] = " ".join(ids)
        return {**{field: value for field, value in fields.items() if _is_plain(value)}, "node": name}

    def _unreadable(self, leases: Sequence[dict[str, Any]]) -> str:
        """Why not every lease can be read; empty if all can."""
        ids = {lease["node"]: {KEY_IDS: str(lease.get(KEY_IDS, "")).split()} for lease in leases}
        return disagreement(self._encryption.key_ids, ids, self._keys.prefix)

    def _others(self, named: Sequence[str]) -> list[str]:
        """Further shared channels in which messages wait. The deepest of them."""
        names = [name.decode() for name in self._client.zrange(self._keys.shared_channels, 0, CHANNELS_MAX - 1)]
        names = [name for name in names if name not in named]
        with self._client.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.xlen(self._keys.channel(name))
            depths = pipeline.execute()
        deepest = sorted(((-depth, name) for name, depth in zip(names, depths, strict=True) if depth))
        return [name for _, name in deepest[:SHOWN_MAX]]

    def _queue(self, channel: str, now_ms: int, receivers: Receivers) -> Queue:
        key = self._keys.channel(channel)
        depth: int = self._client.xlen(key)
        first = self._client.xrange(key, count=1)
        age_ms = now_ms - int(first[0][0].split(b"-")[0]) if first else 0
        receiver_count = receivers.count(channel, self._consumers(key))
        return Queue(channel, depth, max(0, age_ms) / 1000, receiver_count, channel in receivers.dead_letters)

    def _consumers(self, key: str) -> Any:
        """The consumers of a stream; none if no process has ever received from it."""
        try:
            return self._client.xinfo_consumers(key, GROUP)
        except ResponseError:  # no such key, or no such group
            return ()


def _is_plain(value: Any) -> bool:
    """True for figures and text, and for a map of them. Other values could be nested too deeply to be shown."""
    inner = value.values() if isinstance(value, dict) else (value,)
    return all(isinstance(each, SCALARS) for each in inner)
