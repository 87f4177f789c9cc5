"""A peer that says nothing: whoever waits for an answer, or for what is published, must not wait for ever."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from channel_layer.messaging.pubsub import PROBE_ANSWER_CHECKS, PROBE_CHECKS, PubSub
from channel_layer.protocol.codec import pack
from channel_layer.redis.address import RedisAddress
from channel_layer.redis.connection import RedisConnection, connect
from channel_layer.redis.managed_connection import SILENT_CHECKS_MAX, ManagedConnection
from tests.support.facts import until
from tests.support.node_parts import Commands, RecordedObserver, context
from tests.support.redis_server import RedisServer
from tests.support.scripted_redis import played_redis
from tests.support.swallowing_proxy import SwallowingProxy


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[SwallowingProxy]:
    proxy = SwallowingProxy(redis_server.socket).start()
    yield proxy
    proxy.stop()


@pytest.fixture
async def commands(redis_server: RedisServer) -> AsyncIterator[RedisConnection]:
    """A connection beside the proxy."""
    connection = await connect(RedisAddress.parse(redis_server.url))
    yield connection
    connection.close()


async def test_silence_is_counted_only_while_an_answer_is_due(tmp_path: Path) -> None:
    """P9. Who has asked nothing waits for nothing; and one word is enough to be thought alive."""
    async with played_redis(tmp_path) as redis:
        connection = await connect(redis.address)
        assert [connection.checks_without_data() for _ in range(3)] == [0, 0, 0]
        connection.send("GET", "x")
        assert [connection.checks_without_data() for _ in range(3)] == [1, 2, 3]
        connection.send("GET", "y")
        await until(lambda: redis.callers[0].names().count(b"GET") == 2)
        redis.callers[0].say(b"$-1\r\n")
        await until(lambda: connection.checks_without_data() == 0)
        assert connection.checks_without_data() == 1
        connection.close()


async def test_a_link_whose_peer_has_fallen_mute_is_made_anew(proxy: SwallowingProxy, prefix: str) -> None:
    """P9. A half-open connection: no error ever comes, and TCP is content."""
    connected: list[RedisConnection] = []
    link = ManagedConnection(RedisAddress.parse(proxy.url), "test", connected.append)
    await link.start()
    assert proxy.mute() == 1
    connected[0].send("BLPOP", f"{prefix}nothing", 2)
    await until(lambda: len(connected) == 2, deadline_s=SILENT_CHECKS_MAX + 5)
    assert await connected[1].execute("GET", f"{prefix}nothing") is None
    await link.close()


async def test_who_would_not_hear_what_is_published_finds_out_and_subscribes_anew(
    proxy: SwallowingProxy, commands: RedisConnection, prefix: str
) -> None:
    """P10. The probe comes as long as all is well; once it does not, there is a new subscription, and members are reached again."""
    observer, node = RecordedObserver(), context(proxy.url, prefix=prefix)
    groups = PubSub(node, observer, Commands(commands))
    await groups.start()
    await groups.subscribe("g")
    for _ in range(3):
        assert not any(groups.check() for _ in range(PROBE_CHECKS))
        await until(lambda: not groups._probing)
    assert proxy.mute() == 1
    looks = [groups.check() for _ in range(PROBE_CHECKS + PROBE_ANSWER_CHECKS + 1)]
    assert looks.count(True) == 1 and looks[-1]
    await until(lambda: groups.managed.connection is None)
    await until(lambda: groups.managed.connection is not None)
    await groups.subscribe("g")
    assert await commands.execute("PUBLISH", node.keys.group("g"), pack({"type": "note"})) >= 1
    await until(lambda: observer.messages == [("g", {"type": "note"})])
    await groups.close()


async def test_a_probe_that_redis_did_not_publish_proves_nothing(
    proxy: SwallowingProxy, commands: RedisConnection, prefix: str
) -> None:
    """P10. An outage is no reason to subscribe anew."""
    beside = Commands(commands)
    groups = PubSub(context(proxy.url, prefix=prefix), RecordedObserver(), beside)
    await groups.start()
    commands.close()
    await until(lambda: not commands.alive)
    assert not any(groups.check() for _ in range(3 * PROBE_CHECKS))
    beside.connection = None
    assert not any(groups.check() for _ in range(3 * PROBE_CHECKS))
    await groups.close()
