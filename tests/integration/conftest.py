"""What tests of the layer over a real Redis have in common."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from tests.support.redis_server import RedisServer


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[Redis]:
    """For a look at the shared server, and for what other processes would send."""
    with Redis(unix_socket_path=str(redis_server.socket)) as client:
        yield client
