"""Looking into Redis from a test."""

from __future__ import annotations

from redis import Redis


def queue_length(url: str, channel: str = "http.request", prefix: str = "towpath:") -> int:
    """How many connections wait for a worker."""
    with Redis.from_url(url) as client:
        return int(client.xlen(f"{prefix}channel:{channel}"))


def keys_without_a_ttl(url: str, prefix: str = "") -> list[str]:
    """Keys that would stay for ever."""
    with Redis.from_url(url, decode_responses=True) as client:
        return [key for key in client.keys(f"{prefix}*") if client.ttl(key) == -1]
