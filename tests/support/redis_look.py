"""Looking into Redis from a test."""

from __future__ import annotations

from redis import Redis

from channel_layer.protocol.codec import unpack_batch
from channel_layer.protocol.keys import CHANNEL_OF_KIND, GROUP, Keys
from channel_layer.protocol.packets import OPEN, OPEN_ONCE
from channel_layer.protocol.scope import ScopeReader
from channel_layer.settings import RedisSettings

KEYS = Keys(RedisSettings().prefix)


def queue_length(url: str, channel: str = "http.request") -> int:
    """How many connections wait for a worker."""
    with Redis.from_url(url) as client:
        return int(client.xlen(KEYS.channel(channel)))


def keys_without_a_ttl(url: str) -> list[str]:
    """Keys that would stay for ever."""
    with Redis.from_url(url, decode_responses=True) as client:
        return [key for key in client.keys() if client.ttl(key) == -1]


def read_and_pending(url: str) -> set[tuple[str, str]]:
    """Workers that have read entries which nobody has taken, each with the interface server that queued them."""
    found = set()
    with Redis.from_url(url) as client:
        for channel in CHANNEL_OF_KIND.values():
            stream = KEYS.channel(channel)
            for pending in client.xpending_range(stream, GROUP, "-", "+", 100) if client.exists(stream) else ():
                for _, fields in client.xrange(stream, pending["message_id"], pending["message_id"]):
                    found |= {(pending["consumer"].decode(), unpack_batch(value)[0]) for value in fields.values()}
    return found


def sent_directly(url: str, worker: str, since_ms: int) -> list[str]:
    """The paths of the requests that may start only once and that interface servers have sent into the inbox of a worker since."""
    with Redis.from_url(url) as client:
        entries = client.xrange(KEYS.inbox(worker), f"{since_ms}-0")
    found = [packet for _, fields in entries for value in fields.values() for packet in unpack_batch(value)[1]]
    opened = [packet for packet in found if packet[0] == OPEN and packet[OPEN_ONCE]]
    return [ScopeReader().read(packet[3])["path"] for packet in opened]
