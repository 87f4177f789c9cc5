"""What an interface server asks of a worker that it hears of only when the wait was over."""

from __future__ import annotations

from channel_layer.protocol import packets
from channel_layer.protocol.codec import batch_head, join_batch, pack, unpack_batch
from channel_layer.settings import RedisSettings
from interface_server.connections.transitions import ConnectionState
from tests.support.both_dispatchers import interface, knock
from tests.support.facts import until, until_async

GHOST = "worker.000000000000"


async def test_who_is_adopted_late_is_asked_whether_anything_is_lost(redis_settings: RedisSettings) -> None:
    """P9. It may have been taken in an earlier life of Redis' data; what followed is lost then, and nothing else would tell."""
    redis_settings = RedisSettings(url=redis_settings.url, prefix=redis_settings.prefix, queue_wait_s=0.3)
    async with interface(redis_settings) as server:
        client = knock(server, method="POST")
        await until(lambda: client.upstream.entry_id)
        redis, keys = server.node._commands.connection, server.node.context.keys
        assert redis is not None
        await redis.execute("XADD", keys.inbox(GHOST), "*", "b", b"")
        assert await redis.execute("XDEL", keys.channel("http.request"), client.upstream.entry_id) == 1  # as if taken
        await until(lambda: client.upstream.connection.state is ConnectionState.OVERDUE, "its wait to be over")
        adopted = pack(packets.adopted(client.upstream.connection.number, 1, 1000))
        await redis.execute("XADD", keys.inbox(server.node.name), "*", "b", join_batch(batch_head(GHOST), [adopted]))
        await until(lambda: client.upstream.connection.state is ConnectionState.OWNED, "to be adopted")

        async def asked() -> list[list[object]]:
            entries = await redis.execute("XRANGE", keys.inbox(GHOST), "-", "+")
            return [packet for _, fields in entries if fields[1] for packet in unpack_batch(fields[1])[1]]

        await until_async(asked, "to be asked")
        assert [packets.SYNC, client.upstream.connection.number, 1, 0, True] in await asked()
        client.upstream.leave()
        await until(lambda: server.node._outbox.empty)
        await redis.execute("DEL", keys.inbox(GHOST))
