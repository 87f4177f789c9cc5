"""The ways to connect a channel layer, against a real server."""

from __future__ import annotations

import asyncio

import pytest

import channel_layer
from channel_layer import LayerUnavailable, NothingSent
from tests.support.redis_server import RedisServer
from tests.support.serving import free_port

HELLO = {"type": "hello"}


async def test_a_layer_is_awaited_or_entered(redis_server: RedisServer, prefix: str) -> None:
    """Also awaited and then entered. Where it was entered, it is closed."""
    connection = channel_layer.connect(redis_server.url, prefix=prefix)
    async with await connection as awaited, channel_layer.connect(redis_server.url, prefix=prefix) as entered:
        await awaited.send("thumbnails", HELLO)
        assert await entered.receive("thumbnails") == HELLO
    for layer in (awaited, entered):
        with pytest.raises(NothingSent, match="closed"):
            await layer.send("thumbnails", HELLO)


async def test_what_cannot_connect_raises_in_both_ways() -> None:
    """Where it is awaited; a value that is none is refused before."""
    with pytest.raises(LayerUnavailable):
        await asyncio.wait_for(channel_layer.connect("redis://127.0.0.1:1"), 30)
    with pytest.raises(LayerUnavailable):
        async with channel_layer.connect("redis://127.0.0.1:1"):
            pass
    with pytest.raises(ValueError, match="capacity"):
        channel_layer.connect("redis://127.0.0.1:1", capacity=0)


def test_a_port_without_tls_is_named_as_the_reason(own_redis: RedisServer) -> None:
    """It never answers the beginning of a handshake: for Redis that is half a command."""
    port = free_port()
    with own_redis.client() as redis:
        redis.config_set("port", port)
    url = f"rediss://127.0.0.1:{port}"
    with channel_layer.connect_blocking(url, timeout=0.5) as layer, pytest.raises(NothingSent, match="without TLS"):
        layer.send("thumbnails", HELLO)
