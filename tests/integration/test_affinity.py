"""Clients that stay with one worker, over a real server: `--sticky`. PROTOCOL.md, "Affinity"."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from channel_layer.protocol.keys import CHANNEL_OF_KIND, own_channel
from channel_layer.settings import RedisSettings
from interface_server.connections.dispatcher import Dispatcher as InterfacePump
from tests.integration.both_pumps import (
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
from worker.connections.dispatcher import Dispatcher as WorkerPump


def play(instance: RecordedInstance) -> None:
    if instance.scope["type"] == "http":
        respond(instance)
    else:
        instance.send({"type": "websocket.accept"})


@contextlib.asynccontextmanager
async def three_workers(redis_settings: RedisSettings) -> AsyncIterator[list[tuple[WorkerPump, RecordedHost]]]:
    async with contextlib.AsyncExitStack() as stack:
        rooms = [RecordedHost(play=play) for _ in range(3)]
        yield [(await stack.enter_async_context(worker(redis_settings, room, sticky="on")), room) for room in rooms]


def cookies_of(client: Recorded) -> list[bytes]:
    headers = client.events[0].get("headers") or []
    return [value.partition(b";")[0] for name, value in headers if name == b"set-cookie"]


async def answered(door: InterfacePump, kind: str = "http", cookie: bytes = b"", **differs: Any) -> Recorded:
    fields = [[b"host", b"example"]] + [[b"cookie", cookie]] * bool(cookie)
    client = knock(door, kind, differs={"headers": fields, **differs})
    await until(lambda: client.events or client.end_reason, "an answer")
    assert client.end_reason is None
    return client


async def three_that_wait(room: RecordedHost, door: InterfacePump, cookie: bytes, method: str) -> list[Recorded]:
    """Clients of a worker without a free slot, in its own channel. (A read from before brings one connection more.)"""
    room.slots = 0
    await answered(door, cookie=cookie)
    differs = {"headers": [[b"cookie", cookie]]}
    waiting = [knock(door, method=method, body=b"x" * (method == "POST"), differs=differs) for _ in range(3)]
    await until(lambda: all(client.upstream.entry_id for client in waiting), "to stand in its own channel")
    return waiting


def counts(workers: list[tuple[WorkerPump, RecordedHost]]) -> list[int]:
    return [len(room.instances) for _, room in workers]


def index_of(workers: list[tuple[WorkerPump, RecordedHost]], cookie: bytes) -> int:
    return [dispatcher.node.name for dispatcher, _ in workers].index(cookie.partition(b"=")[2].decode())


async def test_a_client_with_the_cookie_comes_to_its_worker_each_time(redis_settings: RedisSettings) -> None:
    """Requests and WebSockets alike; whoever has no cookie goes to any worker and gets one."""
    async with interface(redis_settings, sticky="cookie") as door, three_workers(redis_settings) as workers:
        (cookie,) = cookies_of(await answered(door))
        own = index_of(workers, cookie)
        before = counts(workers)
        for _ in range(20):
            client = await answered(door, cookie=cookie)
            assert cookies_of(client) == []
        assert cookies_of(await answered(door, "websocket", cookie=cookie)) == []
        assert counts(workers)[own] == before[own] + 21


async def test_an_address_comes_to_its_worker_each_time(redis_settings: RedisSettings) -> None:
    async with interface(redis_settings, sticky="address") as door, three_workers(redis_settings) as workers:
        for last in range(60):  # so many that each worker has some, whatever it is called
            before = counts(workers)
            await answered(door, client=[f"192.0.2.{last}", 1])
            taken = [now - then for now, then in zip(counts(workers), before, strict=True)].index(1)
            before = counts(workers)
            await answered(door, client=[f"192.0.2.{last}", 2])
            assert counts(workers)[taken] == before[taken] + 1
        assert all(counts(workers))


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_who_waits_for_a_worker_that_leaves_is_taken_by_another(
    redis_settings: RedisSettings, method: str
) -> None:
    """P7. Also who comes before the news."""
    async with interface(redis_settings, sticky="cookie") as door, three_workers(redis_settings) as workers:
        (cookie,) = cookies_of(await answered(door))
        dispatcher, room = workers[index_of(workers, cookie)]
        waiting = await three_that_wait(room, door, cookie, method)
        await dispatcher.stop_taking()
        await until(lambda: all(client.events for client in waiting), "others took them")
        (moved,) = cookies_of(await answered(door, cookie=cookie))
        assert moved != cookie
        assert door.counters["connection.requeued"] == 3  # who comes afterwards is not sent there any more


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_who_waits_for_a_worker_that_dies_is_taken_by_another(redis_settings: RedisSettings, method: str) -> None:
    """P3, P6. Nobody has begun it, which the cancel script proves: a POST, too, is started elsewhere."""
    async with interface(redis_settings, sticky="cookie") as door, three_workers(redis_settings) as workers:
        (cookie,) = cookies_of(await answered(door))
        dispatcher, room = workers[index_of(workers, cookie)]
        waiting = await three_that_wait(room, door, cookie, method)
        door.node._peers.confirm_dead(dispatcher.node.name, gone=True)
        await until(lambda: all(client.events for client in waiting), "others took them")
        assert sum(counts(workers)) == 5


async def test_a_new_interface_server_knows_the_workers_of_those_who_come_back(redis_settings: RedisSettings) -> None:
    async with three_workers(redis_settings):
        async with interface(redis_settings, sticky="cookie") as door:
            (cookie,) = cookies_of(await answered(door))
        async with interface(redis_settings, sticky="cookie") as door:
            for _ in range(5):
                assert cookies_of(await answered(door, cookie=cookie)) == []


async def test_workers_that_read_no_channel_of_their_own_are_sent_nobody(redis_settings: RedisSettings) -> None:
    """An option that only the interface servers know costs nobody an answer."""
    async with interface(redis_settings, sticky="cookie") as door:
        room = RecordedHost(play=play)
        async with worker(redis_settings, room):
            (cookie,) = cookies_of(await answered(door))
            assert cookies_of(await answered(door, cookie=cookie)) == []
            assert door.node._channels._writers[-1].worker is None


async def test_the_channels_of_a_worker_go_with_it(redis_settings: RedisSettings) -> None:
    """P11. Its channel has a time to live, and its interface server keeps no way to it."""
    async with interface(redis_settings, sticky="cookie") as door:
        async with three_workers(redis_settings) as workers:
            (cookie,) = cookies_of(await answered(door))
            await answered(door, cookie=cookie)
            dispatcher, _ = workers[index_of(workers, cookie)]
            connection = door.node._commands.connection
            assert connection is not None
            stream = door.node.context.keys.channel(own_channel(CHANNEL_OF_KIND["http"], dispatcher.node.name))
            assert await connection.execute("PTTL", stream) > 0
        assert door._own is not None
        await until(lambda: not door._own._openers, "no way is left")


async def test_two_reads_of_a_kind_bring_at_most_twice_what_a_worker_has_room_for(
    redis_settings: RedisSettings,
) -> None:
    """OPERATIONS: two at a time with `--worker-concurrency 1`, and no more, however many wait at both channels."""
    room, at_once = RecordedHost(), []
    room.play = lambda _instance: at_once.append(sum(instance.line.open for instance in room.instances))
    room.free = lambda _kind: 1 - sum(instance.line.open for instance in room.instances)  # type: ignore[method-assign]
    async with (
        interface(redis_settings, sticky="cookie") as door,
        worker(redis_settings, room, sticky="on") as dispatcher,
    ):
        first = knock(door)
        respond(await adopted(room))
        dispatcher.read_more()
        await until(lambda: first.body, "an answer")
        (cookie,) = cookies_of(first)
        clients = [knock(door, differs={"headers": [[b"cookie", cookie]] * tied}) for tied in (0, 1) for _ in range(5)]
        while not all(client.body for client in clients):
            for instance in room.instances:
                if instance.line.open:
                    respond(instance)
            dispatcher.read_more()
            await until(lambda: any(each.line.open for each in room.instances) or all(each.body for each in clients))
    assert len(at_once) == 11 and max(at_once) <= 2
