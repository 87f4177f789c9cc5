"""Reads from Redis which processes are alive and what waits. PROTOCOL.md, "Keys". Nothing is written or scanned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from redis.exceptions import NoPermissionError, RedisError, ResponseError

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
from towpath.status.state import Queue, RedisState, Status, named_in_full

#: How many channels that no lease names are looked at, and how many of them are shown.
CHANNELS_MAX, SHOWN_MAX = 1_000, 20

#: How many entries were ever added to each stream; -1 where there is none, or where Redis (before 7) does not count. In Redis, since
#: the answer of XINFO has the first and the last entry as well, which may be large.
ADDED = """
local found = {}
for i, key in ipairs(KEYS) do
    local answer = redis.pcall('XINFO', 'STREAM', key)
    found[i] = -1
    for j = 1, #answer, 2 do
        if answer[j] == 'entries-added' then found[i] = answer[j + 1] end
    end
end
return found
"""


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
        leases = named_in_full(self._leases.read())
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
            added = reading.added(channels, [lease["node"] for lease in leases])
            queues = tuple(reading.queue(channel, receivers, added.channels[channel]) for channel in channels)
            processes = tuple({**lease, **added.batches(lease["node"])} for lease in leases)
            redis = reading.redis(self._leases.write_refusal())
        return Status(processes, queues, reading.now_ms / 1000, unreadable=self._leases.unreadable(leases), redis=redis)


class _Added(NamedTuple):
    """How many entries were ever added: messages to channels, batches to processes. None where it is not known."""

    channels: dict[str, int | None]
    inboxes: dict[str, int | None]

    def batches(self, node: str) -> dict[str, int]:
        """The field for a process: how many batches of packets others have sent to it through Redis."""
        count = self.inboxes[node]
        return {} if count is None else {"batches_total": count}


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

    def added(self, channels: Sequence[str], nodes: Sequence[str]) -> _Added:
        """How many entries were ever added to these channels, and to the inboxes of these processes."""
        keys = [*map(self._keys.channel, channels), *map(self._keys.inbox, nodes)]
        try:
            found = self._client.eval(ADDED, len(keys), *keys)
        except NoPermissionError:  # of a user for `status` alone, which may only read
            found = [-1] * len(keys)
        counts = [None if count < 0 else count for count in found]
        return _Added(dict(zip(channels, counts, strict=False)), dict(zip(nodes, counts[len(channels) :], strict=True)))

    def redis(self, refusal: str) -> RedisState:
        """What Redis says of itself. refusal: of writes."""
        facts = {**self._client.info("memory"), **self._client.info("clients")}
        return RedisState(
            refusal=refusal,
            memory_bytes=_figure(facts.get("used_memory")),
            memory_bytes_max=_figure(facts.get("maxmemory")),
            policy=str(facts.get("maxmemory_policy", "")),
            clients=_figure(facts.get("connected_clients")),
            clients_max=_figure(facts.get("maxclients")),
        )

    def queue(self, channel: str, receivers: Receivers, added: int | None) -> Queue:
        """What waits in a channel, and for how many processes."""
        key = self._keys.channel(channel)
        depth: int = self._client.xlen(key)
        first = self._client.xrange(key, count=1)
        age_ms = self.now_ms - int(first[0][0].split(b"-")[0]) if first else 0
        receiver_count = receivers.count(channel, self._consumers(key))
        dead_letter = channel in receivers.dead_letters
        age_s = max(0, age_ms) / 1000
        return Queue(channel, depth, age_s, receiver_count, dead_letter=dead_letter, added_total=added)

    def _consumers(self, key: str) -> Any:
        """The consumers of a stream; none if no process has ever received from it."""
        try:
            return self._client.xinfo_consumers(key, GROUP)
        except ResponseError:  # no such key, or no such group
            return ()


def _figure(value: Any) -> int:
    """A figure of INFO; 0 if this server does not give it."""
    return value if type(value) is int else 0
