"""Behind the address of Redis there is another server, and connections to the last one do not end: a fail-over without Sentinels. P9."""

from __future__ import annotations

from pathlib import Path

from channel_layer.settings import RedisSettings
from tests.support.both_dispatchers import RecordedHost, adopted, interface, knock, worker
from tests.support.facts import until
from tests.support.redis_server import RedisServer

SOON_S = 5.0


async def test_all_links_of_a_process_go_where_one_has_found_another_server(
    tmp_path: Path, own_redis: RedisServer, redis_server: RedisServer, prefix: str
) -> None:
    """P9. Who is half at another server hears nobody there: inbox, groups and lease do not wait until their connections end."""
    address = tmp_path / "redis.sock"
    address.symlink_to(own_redis.socket)
    redis_settings, host = RedisSettings(url=f"unix://{address}", prefix=prefix), RecordedHost()
    async with interface(redis_settings) as server, worker(redis_settings, host) as owner:
        client = knock(server, kind="websocket")
        instance = await adopted(host)
        instance.send({"type": "websocket.accept"})
        await until(lambda: client.events)
        address.unlink()
        address.symlink_to(redis_server.socket)
        for dispatcher in (server, owner):
            assert dispatcher.node._commands.connection is not None
            dispatcher.node._commands.connection.close()
        client.upstream.forward({"type": "websocket.receive", "text": "down"}, 68)
        instance.send({"type": "websocket.send", "text": "up"})
        await until(lambda: instance.fed and len(client.events) == 2, "both are heard", SOON_S)
        with redis_server.client() as redis:
            leases = [server.node.context.keys.lease(dispatcher.node.name) for dispatcher in (server, owner)]
            await until(lambda: redis.exists(*leases) == 2, "leases are held there", SOON_S)
            assert redis.pubsub_numsub(server.node.context.keys.news) == [(server.node.context.keys.news, 2)]
        other = knock(server)
        await until(lambda: len(host.instances) == 2, "new work flows", SOON_S)
        assert client.end_reason is None
        for one in (client, other):
            one.upstream.leave()
        await until(lambda: not owner.downstreams)
