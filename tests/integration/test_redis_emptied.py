"""FLUSHALL: Redis loses everything, and nobody loses a connection to it. P9."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from channel_layer.messaging.inbox import Inbox
from channel_layer.redis.connection import connect
from channel_layer.settings import RedisSettings
from interface_server.connections.interfaces import EndReason
from tests.support.both_dispatchers import RecordedHost, adopted, interface, knock, respond, worker
from tests.support.facts import until
from tests.support.node_parts import RecordedObserver, context
from tests.support.redis_server import RedisServer

#: Far below the wait for a worker (30 s): a loss is noticed with the next renewal of a lease.
SOON_S = 5.0
TTL_S = 2.0


def flush(redis: RedisServer) -> None:
    with redis.client() as client:
        client.flushall()


async def test_who_was_queued_when_redis_was_emptied_is_queued_again(own_redis: RedisServer) -> None:
    """P9. Nobody waits until its wait is over for an entry that is gone: it is opened again where nobody minds."""
    async with interface(RedisSettings(url=own_redis.url)) as server:
        clients = [knock(server) for _ in range(50)] + [knock(server, kind="websocket") for _ in range(5)]
        await until(lambda: all(client.upstream.entry_id for client in clients), "queued")
        flush(own_redis)
        host = RecordedHost(play=lambda run: respond(run) if run.scope["type"] == "http" else None)
        async with worker(RedisSettings(url=own_redis.url), host):
            await until(lambda: all(client.body == b"hello" for client in clients[:50]), "answered", SOON_S)
            await until(lambda: all(client.adoptions for client in clients[50:]), "adopted", SOON_S)
            assert len(host.instances) == 55
            for client in clients:
                client.upstream.leave()


async def test_what_must_not_start_twice_is_not_queued_again_when_its_entry_is_gone(own_redis: RedisServer) -> None:
    """P3. Gone may mean taken: its taker's word is waited for, one lease and two seconds, and then its client is told what is known."""
    redis_settings = RedisSettings(url=own_redis.url, lease_ttl_s=TTL_S)
    async with interface(redis_settings) as server:
        clients = [knock(server, method="POST") for _ in range(5)]
        await until(lambda: all(client.upstream.entry_id for client in clients), "queued")
        flush(own_redis)
        host = RecordedHost(play=respond)
        async with worker(redis_settings, host):
            await until(lambda: all(client.end_reason for client in clients), "told", SOON_S + TTL_S + 2.0)
        assert {client.end_reason for client in clients} == {EndReason.UNKNOWN}
        assert not host.instances


async def test_what_came_after_redis_was_emptied_is_not_lost_with_it(own_redis: RedisServer) -> None:
    """P3. Before the loss is noticed more come in: their entries are there, so surely nobody has started them."""
    redis_settings = RedisSettings(url=own_redis.url)
    async with interface(redis_settings) as server:
        flush(own_redis)
        clients = [knock(server, method="POST") for _ in range(20)]
        await until(lambda: all(client.upstream.entry_id for client in clients), "queued")
        await until(
            lambda: all(client.upstream.connection.epoch == 2 and client.upstream.entry_id for client in clients),
            "again",
        )
        host = RecordedHost(play=respond)
        async with worker(redis_settings, host):
            await until(lambda: all(client.body == b"hello" for client in clients), "answered", SOON_S)
        assert len(host.instances) == 20


async def test_open_sockets_do_not_notice_that_redis_was_emptied(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """P6, P9. All leases are gone, and nobody is called dead for that; what is said afterwards arrives on either side."""
    caplog.set_level(logging.INFO, "towpath")
    redis_settings = RedisSettings(url=own_redis.url, lease_ttl_s=TTL_S)
    host = RecordedHost()
    async with interface(redis_settings) as server, worker(redis_settings, host) as owner:
        client = knock(server, kind="websocket")
        instance = await adopted(host)
        instance.send({"type": "websocket.accept"})
        await until(lambda: client.events)
        nodes = (server.node, owner.node)
        for judge, judged in (nodes, nodes[::-1]):
            await until(
                lambda judge=judge: judge._own_lease.may_declare_dead(asyncio.get_running_loop().time()), "may judge"
            )
            lapsed = [node.counters["lease.lapsed"] for node in nodes]
            flush(own_redis)
            await judge._peers._check_leases([judged.name])  # the look that comes once a second, at the worst moment
            for node, before in zip(nodes, lapsed, strict=True):
                await until(lambda node=node, before=before: node.counters["lease.lapsed"] > before, "noticed")
        client.upstream.forward({"type": "websocket.receive", "text": "down"}, 68)
        instance.send({"type": "websocket.send", "text": "up"})
        await until(lambda: instance.fed and len(client.events) == 2)
        assert (client.end_reason, instance.disconnects) == (None, [])
        assert not [said for said in caplog.messages if "to Redis" in said], "no connection was lost"
        assert server.node.counters["peers.dead"] == owner.node.counters["peers.dead"] == 0
        client.upstream.leave()
        await until(lambda: not owner.downstreams)


async def test_a_lost_inbox_is_noticed_though_the_lease_is_there(own_redis: RedisServer) -> None:
    """P9. Whatever took it away: without an inbox no answer ever comes, so its owner looks for it with each renewal."""
    redis_settings = replace(RedisSettings(url=own_redis.url), queue_wait_s=30.0)
    host = RecordedHost(play=respond)
    async with interface(redis_settings) as server:
        with own_redis.client() as redis:
            redis.delete(server.node.context.keys.inbox(server.node.name))
        async with worker(redis_settings, host):
            client = knock(server)
            await until(lambda: client.body == b"hello", "answered", SOON_S)
            client.upstream.complete()


async def test_an_inbox_that_another_life_of_redis_lacks_is_no_loss_whoever_hears_of_it_first(
    own_redis: RedisServer,
) -> None:
    """P3. Who was queued in the life before is queued again for that; as a loss too, it would be queued twice."""
    node, observer = context(own_redis.url), RecordedObserver()
    inbox = Inbox(node, observer)
    connection = await connect(node.address)
    inbox.make(connection)
    inbox._found(connection.era, 0, b"0-0")  # the reader's own connection is answered second, and is heard first
    await connection.execute("PING")
    assert not observer.losses
    flush(own_redis)
    inbox.make(connection)
    await connection.execute("PING")
    assert observer.losses == 1
    connection.close()


@pytest.mark.interpreted  # replaces a method of the node
async def test_a_lease_that_was_written_anew_a_moment_ago_proves_nothing(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """P9. Ours is there again, and we have not heard yet that it was gone: whose lease is not there may be about to write it."""
    redis_settings = RedisSettings(url=own_redis.url, lease_ttl_s=TTL_S)
    async with interface(redis_settings) as server, worker(redis_settings, RecordedHost()) as owner:
        await until(lambda: server.node._own_lease.may_declare_dead(time.monotonic()), "to be allowed to judge")
        later, observer = threading.Event(), server.node._lease._observer
        tell = observer.on_renewed
        owner.node._lease._observer.on_renewal_started = partial(
            wait_and_ask, later, owner.node._own_lease.renewal_started
        )  # it is the last to renew
        held_back: list[tuple[float, bool]] = []
        observer.on_renewed = lambda *renewed: held_back.append(renewed)
        flush(own_redis)
        with own_redis.client() as redis:
            await until(lambda: redis.exists(server.node.context.keys.lease(server.node.name)), "written anew")
        look = asyncio.ensure_future(server.node._peers._check_leases([owner.node.name]))
        assert server.node._commands.connection is not None
        await server.node._commands.connection.execute("PING")  # behind the look
        for renewed in held_back:
            tell(*renewed)
        observer.on_renewed = tell
        await look
        later.set()
        await until(lambda: owner.node.counters["lease.lapsed"], "to have a lease again")
        assert "is over" not in caplog.text


@pytest.mark.interpreted  # replaces a method of the node
async def test_what_answers_somebody_who_was_thought_dead_reaches_it(own_redis: RedisServer) -> None:
    """P8. It has resynced already, and does so once: dropped with the packets for the dead, the answer would leave it running for ever."""
    redis_settings, host = RedisSettings(url=own_redis.url), RecordedHost()
    async with interface(redis_settings) as server, worker(redis_settings, host) as owner:
        client = knock(server, kind="websocket")
        instance = await adopted(host)
        make_again = owner.node._inbox.make_again
        owner.node._inbox.make_again = lambda: None  # type: ignore[method-assign]  # its way back takes long
        flush(own_redis)
        client.upstream.leave()
        await until(lambda: server.counters["packets.stale"], "asked, and answered")
        server.node._peers.confirm_dead(owner.node.name)  # as somebody says who was wrong
        await until(lambda: not server.node._peers._dead, "its death is processed")
        make_again()
        await until(lambda: instance.disconnects, "told", SOON_S)


def wait_and_ask(later: threading.Event, asks: Callable[[], None]) -> None:
    """In the thread of a lease."""
    later.wait(10.0)
    asks()
