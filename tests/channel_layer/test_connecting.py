"""The ways to connect a channel layer, against a real server."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import pytest

import channel_layer
from channel_layer import LayerUnavailable, LayerUnusable, NothingSent
from channel_layer.layer import ChannelLayer
from channel_layer.layer_thread import LayerThread
from channel_layer.protocol.keys import Keys
from channel_layer.settings import RedisSettings
from tests.support.both_dispatchers import interface
from tests.support.facts import until_async
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


async def error_of(layer: ChannelLayer) -> NothingSent | None:
    try:
        await layer.send("thumbnails", HELLO)
    except NothingSent as error:
        return error
    return None


async def test_a_wrong_password_is_not_worth_another_attempt_unless_it_comes_from_a_file(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    """P12. At the start, by both clients; the file may hold another one the next time."""
    with own_redis.client() as redis:
        redis.config_set("requirepass", "right")
    for address in (own_redis.url, f"unix://:wrong@{own_redis.socket}"):
        (file := tmp_path / "url").write_text(address)
        for url, retry in ((address, False), (f"file://{file}", True)):
            with pytest.raises(NothingSent, match="password") as caught:
                await channel_layer.connect(url)
            assert (caught.value.retry, caught.value.known) == (retry, True)
            with channel_layer.connect_blocking(url) as layer:
                for _ in range(2):  # also between two attempts to connect
                    with pytest.raises(NothingSent, match="password") as caught:
                        await asyncio.to_thread(layer.send, "thumbnails", HELLO)
                    assert (caught.value.retry, caught.value.known) == (retry, True)


async def test_a_password_that_is_changed_under_a_layer_is_named_by_its_calls(own_redis: RedisServer) -> None:
    """P9. Until it is the right one again."""
    with own_redis.client() as redis:
        redis.config_set("requirepass", "right")
        redis.auth("right")
        async with channel_layer.connect(f"unix://:right@{own_redis.socket}") as layer:
            await layer.send("thumbnails", HELLO)
            redis.config_set("requirepass", "other")
            redis.client_kill_filter(skipme=True)

            async def is_told() -> bool:
                error = await error_of(layer)
                return isinstance(error, LayerUnusable) and "password is wrong" in str(error)

            await until_async(is_told, "the reason is known")
            redis.config_set("requirepass", "right")

            async def is_sent() -> bool:
                return await error_of(layer) is None

            await until_async(is_sent, "calls succeed again")


async def test_a_user_without_the_channels_of_groups_is_told_that_it_is_of_no_use(own_redis: RedisServer) -> None:
    """P12. By the sentence that names the right."""
    with own_redis.client() as redis:
        redis.execute_command(
            "ACL", "SETUSER", "bargee", "on", ">lock", "~*", "+@all", "resetchannels", "&*news*", "&*probe*"
        )
    with pytest.raises(LayerUnusable, match="groups need a user with"):
        await channel_layer.connect(f"unix://bargee:lock@{own_redis.socket}")


@pytest.mark.parametrize(("running", "starting"), [("a", ""), ("", "a")])
async def test_with_other_keys_a_layer_is_of_no_use_and_publishes_nothing(
    redis_settings: RedisSettings, redis_server: RedisServer, running: str, starting: str
) -> None:
    """P12. What the others cannot read does not reach them; and without the key it would be in clear."""
    theirs, ours = ((f"{each} bargee in a long lock on the canal",) if each else () for each in (running, starting))
    async with interface(dataclasses.replace(redis_settings, encryption_keys=theirs)) as server:
        with redis_server.client() as redis, redis.pubsub() as pubsub:
            pubsub.subscribe(Keys(redis_settings.prefix).news)
            settings = dataclasses.replace(redis_settings, encryption_keys=ours, lease_ttl_s=1.5)
            with pytest.raises(LayerUnusable, match="give all processes of a deployment the same keys"):
                await ChannelLayer(LayerThread(settings)).start()
            with (
                channel_layer.connect_blocking(settings.url, prefix=settings.prefix, encryption_keys=ours) as layer,
                pytest.raises(LayerUnusable),
            ):
                await asyncio.to_thread(layer.send, "thumbnails", HELLO)
            redis.publish(Keys(redis_settings.prefix).news, "the end")
            published: list[Any] = []
            while published[-1:] != ["the end"]:
                published.append((pubsub.get_message(timeout=10) or {})["data"])
            assert published == [1, "the end"]  # 1: subscribed
        assert server.node.counters["packets.undecryptable"] == 0
