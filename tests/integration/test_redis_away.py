"""What becomes of those who wait while Redis is away, or takes nothing more."""

from __future__ import annotations

import asyncio
import signal
import time

import pytest

import channel_layer
from channel_layer.errors import LayerUnavailable, NothingSent
from channel_layer.settings import RedisSettings
from interface_server.connections.interfaces import EndReason
from tests.support.both_dispatchers import RecordedHost, interface, knock, respond, worker
from tests.support.facts import until
from tests.support.redis_look import queue_length
from tests.support.redis_server import RedisServer


async def test_a_client_that_leaves_while_redis_is_away_is_not_queued_again(own_redis: RedisServer) -> None:
    """P3. The answer to its `open` was lost, and it has gone by the time that it could be opened again."""
    redis_settings = RedisSettings(url=own_redis.url)
    async with interface(redis_settings) as server:
        own_redis.signal(signal.SIGSTOP)
        leaves, stays = knock(server), knock(server)
        await asyncio.sleep(0)  # a turn of the loop: what was to be sent is under way
        own_redis.stop()
        await until(lambda: leaves.upstream.connection.epoch == 2, "to be queued again")
        leaves.upstream.leave()
        own_redis.start()
        await until(lambda: stays.upstream.entry_id)
        connection = server.node._commands.connection
        assert connection is not None
        facts = await connection.execute("XINFO", "STREAM", server.node.context.keys.channel("http.request"))
        assert facts[facts.index(b"entries-added") + 1] == 1


async def test_a_client_that_leaves_while_redis_is_away_is_withdrawn_when_it_is_back(own_redis: RedisServer) -> None:
    """P3. Its entry waits for a worker still; whoever is the next to come must not start it, and the others keep their places."""
    redis_settings = RedisSettings(url=own_redis.url)
    async with interface(redis_settings) as server:
        leaves, stays = knock(server, method="POST"), knock(server, method="POST")
        await until(lambda: leaves.upstream.entry_id and stays.upstream.entry_id, "queued")
        assert server.node._commands.connection is not None
        server.node._commands.connection.close()
        await until(lambda: server.node._commands.connection is None)
        leaves.upstream.leave()
        await until(lambda: queue_length(own_redis.url) == 1, "withdrawn")
        host = RecordedHost(play=respond)
        async with worker(redis_settings, host):
            await until(lambda: stays.body == b"hello")
        assert len(host.instances) == 1


async def test_whose_lease_could_not_be_looked_at_is_looked_at_later(redis_settings: RedisSettings) -> None:
    """P6. A worker of this machine whose death nobody would see would be dead for as long as a lease lasts."""
    host = RecordedHost()
    async with interface(redis_settings) as server, worker(redis_settings, host) as owner:
        client = knock(server, kind="websocket")
        first = server.node._commands.connection
        assert first is not None
        client.adopted = first.close  # type: ignore[method-assign]  # the question is on its way then
        await until(lambda: server.node._commands.connection not in (None, first), "another connection")
        assert client.upstream.connection.owner == owner.node.name
        await until(lambda: owner.node.name in server.node._peers._deaths.watched())
        client.upstream.leave()
        await until(lambda: not owner.downstreams)


async def test_a_name_that_is_none_keeps_nobody_from_looking_after_the_others(own_redis: RedisServer) -> None:
    """P6, P12. Anybody may write into the index of leases: whoever looks at it goes on with those that it can read."""
    async with interface(RedisSettings(url=own_redis.url)) as server:
        with own_redis.client() as redis:
            redis.zadd(server.node.context.keys.nodes, {b"\xff\xfe": 10**15, "interface.another": 10**15})
        await until(lambda: server.node.same_role_count == 2, "a look", 5.0)


async def test_what_redis_refuses_to_publish_is_an_error_of_the_layer(own_redis: RedisServer) -> None:
    """P10, P12. An application knows errors of the layer; those of a client library are none that it could expect."""
    async with worker(RedisSettings(url=own_redis.url), RecordedHost()) as taker:
        with own_redis.client() as redis:
            redis.execute_command("ACL", "SETUSER", "default", "resetchannels")
        with pytest.raises(LayerUnavailable, match="Redis refused to publish"):
            await taker.layer.group_send("everybody", {"type": "websocket.send", "text": "hello"})


async def test_what_redis_refuses_was_certainly_not_sent(own_redis: RedisServer) -> None:
    """P12. The error tells that the call may be made again: to a shared channel, to a group, and for a membership."""
    message = {"type": "make"}
    async with await channel_layer.connect(own_redis.url) as layer:
        with own_redis.client() as redis:
            redis.config_set("maxmemory", 1)
            with pytest.raises(NothingSent, match="OOM"):
                await layer.send("thumbnails", message)
            redis.config_set("maxmemory", 0)
            redis.config_set("min-replicas-to-write", 1)
            for call in (
                layer.send("thumbnails", message),
                layer.group_send("everybody", message),
                layer.group_add("everybody", "thumbnails"),
                layer.group_discard("everybody", "thumbnails"),
            ):
                with pytest.raises(NothingSent, match="NOREPLICAS"):
                    await call
            redis.config_set("min-replicas-to-write", 0)
        assert (await layer.statistics("thumbnails"))["messages_pending"] == 0


async def test_without_a_connection_nothing_is_sent_to_a_group(own_redis: RedisServer) -> None:
    """P9. Nothing of such a call has left, and its error says so."""
    async with await channel_layer.connect(own_redis.url) as layer:
        own_redis.stop()
        await until(lambda: not layer.home.loop_layer()._node.connected)  # type: ignore[union-attr]
        for call in (layer.group_send("everybody", {"type": "make"}), layer.group_discard("everybody", "thumbnails")):
            with pytest.raises(NothingSent, match="not connected"):
                await call


@pytest.mark.interpreted  # replaces a method of the dispatcher
async def test_nobody_is_called_dead_because_redis_has_forgotten_everybody(own_redis: RedisServer) -> None:
    """P9. Whoever comes back first finds no lease but those that were written since: so not all are dead."""
    redis_settings = RedisSettings(url=own_redis.url, lease_ttl_s=2.0)
    async with interface(redis_settings) as server:
        lease, judged = server.node._own_lease, []
        await until(lambda: lease.may_declare_dead(time.monotonic()), "to be allowed to judge")
        renewed_at = lease.renewed_at
        await until(lambda: lease.renewed_at != renewed_at, "a second until the next renewal, which must not fail now")
        announce = server.on_redis

        def on_redis(reachable: bool) -> None:
            judged.append((reachable, lease.may_declare_dead(time.monotonic())))
            announce(reachable)

        server.on_redis = on_redis  # type: ignore[method-assign]
        own_redis.stop()
        own_redis.start()
        await until(lambda: len(judged) == 2, "to have come back")
        assert judged == [(False, True), (True, False)]


async def test_a_worker_asks_a_full_redis_no_more_than_it_must(own_redis: RedisServer) -> None:
    """A Redis without memory cannot make what is missing: whoever finds that out asks again after a pause."""
    host = RecordedHost()
    async with worker(RedisSettings(url=own_redis.url), host):
        with own_redis.client() as redis:
            redis.config_set("maxmemory", 1)
            redis.flushall()
            await until(lambda: "errorstat_OOM" in redis.info("errorstats"), "to be refused what is missing")
            redis.config_resetstat()
            await asyncio.sleep(1)  # what is measured: calls in one second
            calls = sum(entry["calls"] for entry in redis.info("commandstats").values())
        assert calls < 200


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_take_that_was_lost_on_its_way_holds_nobody_up(redis_settings: RedisSettings, method: str) -> None:
    """P3, P9. The only worker may never take it again, and must not keep it from being queued again either."""
    host = RecordedHost(play=respond)
    # By the shared channel: what is sent directly is taken by no one.
    async with interface(redis_settings) as server, worker(redis_settings, host, direct_dispatch=False) as taker:
        # As after a take whose connection was lost before Redis had it.
        taker.consumer.adoption.unanswered((server.node.name, 1, 1), asyncio.get_running_loop().time())
        client = knock(server, method=method)
        await until(lambda: client.body == b"hello", "to be served", 10.0)
    assert client.upstream.connection.epoch == 2
    assert len(host.instances) == 1


async def test_running_exchanges_wait_for_redis_so_long_and_open_websockets_longer(own_redis: RedisServer) -> None:
    """P9. What a worker has in hand ends when the outage has lasted too long; its instance learns that afterwards."""
    redis_settings, host = RedisSettings(url=own_redis.url, lease_ttl_s=1.5), RecordedHost()
    async with interface(redis_settings, redis_outage_timeout_s=2.0) as server, worker(redis_settings, host):
        exchange, handshake, socket = knock(server), knock(server, "websocket"), knock(server, "websocket")
        await until(lambda: len(host.instances) == 3)
        opened = next(one for one in host.instances if one.downstream.key[1] == socket.upstream.connection.number)
        opened.send({"type": "websocket.accept"})
        await until(lambda: socket.events)
        own_redis.stop()
        late = knock(server)
        # That Redis is away is known, or it is found by this request; or it was sent directly, and waits in the outbox.
        await until(
            lambda: (
                late.end_reason is EndReason.UNAVAILABLE or late.upstream.connection.epoch == 2 or late.upstream.owned
            )
        )
        assert exchange.end_reason is None
        await until(lambda: exchange.end_reason is EndReason.OUTAGE and handshake.end_reason is EndReason.OUTAGE)
        assert socket.end_reason is None
        own_redis.start()
        others = [one for one in host.instances if one is not opened]
        await until(lambda: all(len(one.disconnects) == 1 for one in others))
        assert not opened.disconnects
        opened.send({"type": "websocket.send", "text": "still here"})
        await until(lambda: socket.events[-1].get("text") == "still here")


async def test_who_has_lost_his_worker_waits_for_a_full_redis_and_who_is_new_is_told(own_redis: RedisServer) -> None:
    """P6, P9. What is queued again was let in already: a Redis that takes nothing for a moment is no worse than one that is away."""
    host = RecordedHost()
    async with (
        interface(RedisSettings(url=own_redis.url)) as server,
        worker(RedisSettings(url=own_redis.url), host) as owner,
    ):
        client = knock(server)
        await until(lambda: host.instances, "owned")
        with own_redis.client() as redis:
            redis.config_set("maxmemory", 1)
            server.on_dead(owner.node.name)
            stranger = knock(server)
            await until(lambda: stranger.end_reason is EndReason.UNAVAILABLE, "told")
            assert (client.end_reason, client.upstream.connection.epoch) == (None, 2)
            redis.config_set("maxmemory", 0)
        await until(lambda: len(host.instances) == 2, "owned again")
        client.upstream.leave()
        await until(lambda: not owner.downstreams)
