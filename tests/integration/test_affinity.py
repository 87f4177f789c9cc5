"""Clients that stay with one worker, over a real server: `--sticky`. PROTOCOL.md, "Affinity"."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from channel_layer.protocol.keys import CHANNEL_OF_KIND, own_channel
from channel_layer.settings import RedisSettings
from interface_server.connections.dispatcher import Dispatcher as InterfaceDispatcher
from tests.support.both_dispatchers import (
    Recorded,
    RecordedHost,
    RecordedInstance,
    adopted,
    interface,
    knock,
    respond,
    worker,
)
from tests.support.facts import until
from worker.connections.dispatcher import Dispatcher as WorkerDispatcher


def play(instance: RecordedInstance) -> None:
    if instance.scope["type"] == "http":
        respond(instance)
    else:
        instance.send({"type": "websocket.accept"})


@contextlib.asynccontextmanager
async def three_workers(redis_settings: RedisSettings) -> AsyncIterator[list[tuple[WorkerDispatcher, RecordedHost]]]:
    async with contextlib.AsyncExitStack() as stack:
        hosts = [RecordedHost(play=play) for _ in range(3)]
        yield [(await stack.enter_async_context(worker(redis_settings, host, sticky="on")), host) for host in hosts]


def cookies_of(client: Recorded) -> list[bytes]:
    headers = client.events[0].get("headers") or []
    return [value.partition(b";")[0] for name, value in headers if name == b"set-cookie"]


async def answered(server: InterfaceDispatcher, kind: str = "http", cookie: bytes = b"", **differs: Any) -> Recorded:
    fields = [[b"host", b"example"]] + [[b"cookie", cookie]] * bool(cookie)
    client = knock(server, kind, differs={"headers": fields, **differs})
    await until(lambda: client.events or client.end_reason, "an answer")
    assert client.end_reason is None
    return client


async def three_that_wait(
    host: RecordedHost, server: InterfaceDispatcher, cookie: bytes, method: str
) -> list[Recorded]:
    """Clients of a worker without a free slot, in its own channel. (A read from before brings one connection more.)"""
    host.slots = 0
    await answered(server, cookie=cookie)
    differs = {"headers": [[b"cookie", cookie]]}
    waiting = [knock(server, method=method, body=b"x" * (method == "POST"), differs=differs) for _ in range(3)]
    await until(lambda: all(client.upstream.entry_id for client in waiting), "to stand in its own channel")
    return waiting


def counts(workers: list[tuple[WorkerDispatcher, RecordedHost]]) -> list[int]:
    return [len(host.instances) for _, host in workers]


def index_of(workers: list[tuple[WorkerDispatcher, RecordedHost]], cookie: bytes) -> int:
    return [dispatcher.node.name for dispatcher, _ in workers].index(cookie.partition(b"=")[2].decode())


async def test_a_client_with_the_cookie_comes_to_its_worker_each_time(redis_settings: RedisSettings) -> None:
    """Requests and WebSockets alike; whoever has no cookie goes to any worker and gets one."""
    async with interface(redis_settings, sticky="cookie") as server, three_workers(redis_settings) as workers:
        (cookie,) = cookies_of(await answered(server))
        own = index_of(workers, cookie)
        before = counts(workers)
        for _ in range(20):
            client = await answered(server, cookie=cookie)
            assert cookies_of(client) == []
        assert cookies_of(await answered(server, "websocket", cookie=cookie)) == []
        assert counts(workers)[own] == before[own] + 21


async def test_an_address_comes_to_its_worker_each_time(redis_settings: RedisSettings) -> None:
    async with interface(redis_settings, sticky="address") as server, three_workers(redis_settings) as workers:
        for last in range(60):  # so many that each worker has some, whatever it is called
            before = counts(workers)
            await answered(server, client=[f"192.0.2.{last}", 1])
            taken = [now - then for now, then in zip(counts(workers), before, strict=True)].index(1)
            before = counts(workers)
            await answered(server, client=[f"192.0.2.{last}", 2])
            assert counts(workers)[taken] == before[taken] + 1
        assert all(counts(workers))


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_who_waits_for_a_worker_that_leaves_is_taken_by_another(
    redis_settings: RedisSettings, method: str
) -> None:
    """P7. Also who comes before the news."""
    async with interface(redis_settings, sticky="cookie") as server, three_workers(redis_settings) as workers:
        (cookie,) = cookies_of(await answered(server))
        dispatcher, host = workers[index_of(workers, cookie)]
        waiting = await three_that_wait(host, server, cookie, method)
        await dispatcher.stop_taking()
        await until(lambda: all(client.events for client in waiting), "others took them")
        (moved,) = cookies_of(await answered(server, cookie=cookie))
        assert moved != cookie
        assert server.counters["requeued.not_started"] == 3  # later clients are not sent there any more


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_who_waits_for_a_worker_that_dies_is_taken_by_another(redis_settings: RedisSettings, method: str) -> None:
    """P3, P6. Nobody has begun it, which the cancel script proves: a POST, too, is started elsewhere."""
    async with interface(redis_settings, sticky="cookie") as server, three_workers(redis_settings) as workers:
        (cookie,) = cookies_of(await answered(server))
        dispatcher, host = workers[index_of(workers, cookie)]
        waiting = await three_that_wait(host, server, cookie, method)
        server.node._peers.confirm_dead(dispatcher.node.name, gone=True)
        await until(lambda: all(client.events for client in waiting), "others took them")
        assert sum(counts(workers)) == 5


async def test_a_new_interface_server_knows_the_workers_of_those_who_come_back(redis_settings: RedisSettings) -> None:
    async with three_workers(redis_settings):
        async with interface(redis_settings, sticky="cookie") as server:
            (cookie,) = cookies_of(await answered(server))
        async with interface(redis_settings, sticky="cookie") as server:
            for _ in range(5):
                assert cookies_of(await answered(server, cookie=cookie)) == []


async def test_workers_that_read_no_channel_of_their_own_are_sent_nobody(redis_settings: RedisSettings) -> None:
    """An option that only the interface servers know costs nobody an answer."""
    async with interface(redis_settings, sticky="cookie") as server:
        host = RecordedHost(play=play)
        async with worker(redis_settings, host):
            (cookie,) = cookies_of(await answered(server))
            assert cookies_of(await answered(server, cookie=cookie)) == []
            assert server.node._channels._writers[-1].worker is None


async def test_the_channels_of_a_worker_go_with_it(redis_settings: RedisSettings) -> None:
    """P11. Its channel has a time to live, and its interface server keeps no way to it."""
    async with interface(redis_settings, sticky="cookie") as server:
        async with three_workers(redis_settings) as workers:
            (cookie,) = cookies_of(await answered(server))
            await answered(server, cookie=cookie)
            dispatcher, _ = workers[index_of(workers, cookie)]
            connection = server.node._commands.connection
            assert connection is not None
            stream = server.node.context.keys.channel(own_channel(CHANNEL_OF_KIND["http"], dispatcher.node.name))
            assert await connection.execute("PTTL", stream) > 0
        assert server._own is not None
        await until(lambda: not server._own._writers, "no way is left")


async def test_two_reads_of_a_kind_bring_at_most_twice_the_capacity_of_a_worker(
    redis_settings: RedisSettings,
) -> None:
    """OPERATIONS: two at a time with `--worker-concurrency 1`, and no more, however many wait at both channels."""
    host, at_once = RecordedHost(), []
    host.play = lambda _instance: at_once.append(sum(instance.downstream.open for instance in host.instances))
    host.free = lambda _kind, alone=False: 1 - sum(instance.downstream.open for instance in host.instances)  # type: ignore[method-assign]
    async with (
        interface(redis_settings, sticky="cookie") as server,
        worker(redis_settings, host, sticky="on") as dispatcher,
    ):
        first = knock(server)
        respond(await adopted(host))
        dispatcher.read_more()
        await until(lambda: first.body, "an answer")
        (cookie,) = cookies_of(first)
        clients = [
            knock(server, differs={"headers": [[b"cookie", cookie]] * tied}) for tied in (0, 1) for _ in range(5)
        ]
        while not all(client.body for client in clients):
            for instance in host.instances:
                if instance.downstream.open:
                    respond(instance)
            dispatcher.read_more()
            await until(
                lambda: any(each.downstream.open for each in host.instances) or all(each.body for each in clients)
            )
    assert len(at_once) == 11 and max(at_once) <= 2
