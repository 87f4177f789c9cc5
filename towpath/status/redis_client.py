"""redis-py, for `towpath status`: whatever serves, or checks beforehand that it can, uses our own connection."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from channel_layer.redis.address import RedisAddress
from channel_layer.redis.blocking.connection import Place


def redis_client(address: RedisAddress, place: Place, timeout_s: float) -> Redis:
    """A client that connects when it is first used, to a server at `place`. It does not retry by itself.

    timeout_s: for connecting, and for each answer.
    """
    options: dict[str, Any] = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "retry": Retry(NoBackoff(), 0),
        "db": address.db,
    }
    if address.credentials:
        options |= {"username": address.credentials.username, "password": address.credentials.password}
    if address.tls:
        options |= {"ssl": True, **asdict(address.tls)}
    if isinstance(place, str):
        return Redis(unix_socket_path=place, **options)
    host, port = place
    return Redis(host=host, port=port, **options)
