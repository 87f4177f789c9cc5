"""Direct dispatch over a real Redis: an idle worker is sent requests without the shared channel, and nothing is lost or started twice."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter

import pytest
from redis import Redis

from channel_layer.protocol import packets
from channel_layer.protocol.codec import unpack_batch
from channel_layer.protocol.packets import Cancel
from channel_layer.redis.connection import OnAnswer
from channel_layer.settings import RedisSettings
from interface_server.connections.dispatcher import Dispatcher as InterfaceDispatcher
from interface_server.connections.interfaces import EndReason
from tests.support.both_dispatchers import (
    Recorded,
    RecordedHost,
    RecordedInstance,
    adopted,
    interface,
    invited,
    knock,
    recall_nothing,
    respond,
    worker,
)
from tests.support.facts import until
from tests.support.redis_server import RedisServer
from worker.connections import direct_requests
from worker.connections.dispatcher import Dispatcher as WorkerDispatcher
from worker.connections.invitations import QUICK_AFTER


async def test_an_interface_server_that_is_invited_needs_no_shared_channel(
    redis_settings: RedisSettings, redis: Redis
) -> None:
    host = RecordedHost(play=respond)
    async with interface(redis_settings) as server, worker(redis_settings, host) as one:
        await invited(server, one)
        clients = [knock(server, method=method, body=b"x") for method in ("GET", "POST", "PUT") for _ in range(20)]
        await until(lambda: all(client.body == b"hello" for client in clients), "all are answered")
        assert not entries_added(redis, redis_settings)
        assert server.direct.count == one.direct.begun_count == len(clients)
        assert {client.last_worker for client in clients} == {one.node.name}


def entries_added(redis: Redis, settings: RedisSettings) -> int:
    """How many requests ever came by the shared channel."""
    return int(redis.xinfo_stream(f"{settings.prefix}channel:http.request")["entries-added"])


async def test_websockets_and_clients_that_wait_for_100_go_by_the_shared_channel(redis_settings: RedisSettings) -> None:
    host = RecordedHost()
    async with interface(redis_settings) as server, worker(redis_settings, host) as one:
        await invited(server, one)
        count = len(host.instances)
        knock(server, "websocket")
        knock(server, method="POST", more=True, expect_continue=True)
        await adopted(host, count + 2)
        assert server.direct.count == 0


async def test_a_body_follows_in_the_window_of_the_worker(redis_settings: RedisSettings) -> None:
    host = RecordedHost()
    async with interface(redis_settings) as server, worker(redis_settings, host) as one:
        await invited(server, one)
        client = knock(server, method="POST", body=b"a", more=True)
        client.upstream.forward({"type": "http.request", "body": b"b", "more_body": False}, 65)
        instance = await adopted(host, len(host.instances) + 1)
        assert server.direct.count == 1
        await until(lambda: instance.fed == [{"type": "http.request", "body": b"b", "more_body": False}])


async def test_without_it_a_worker_invites_no_interface_server(redis_settings: RedisSettings) -> None:
    host = RecordedHost(play=respond)
    async with interface(redis_settings) as server, worker(redis_settings, host, direct_dispatch=False):
        for count in range(1, 6):
            knock(server)
            await adopted(host, count)
        assert server.direct.count == 0 and not server.direct.workers.by_name


async def test_a_worker_without_free_places_is_sent_nothing(redis_settings: RedisSettings) -> None:
    host = RecordedHost(play=respond)
    async with interface(redis_settings) as server, worker(redis_settings, host) as one:
        await invited(server, one)
        host.slots = 0
        one.direct.update()
        await until(lambda: not server.direct.workers.by_name[one.node.name].takes_more, "the invitation is withdrawn")
        client = knock(server)
        host.slots = 10
        one.read_more()
        await until(lambda: client.body == b"hello")
        assert server.direct.count == 0


async def test_what_a_worker_has_no_place_for_is_queued_again_whatever_its_method(
    redis_settings: RedisSettings,
) -> None:
    """P3: it was not started."""
    host = RecordedHost(play=respond)
    async with interface(redis_settings) as server, worker(redis_settings, host) as one:
        await invited(server, one)
        host.slots = 0  # the worker has not said so yet
        clients = [knock(server, method=method) for method in ("GET", "POST")]
        assert server.direct.count == 2
        await until(lambda: server.counters["requeued.not_started"] >= 2, "both came back")
        host.slots = 10
        one.read_more()
        await until(lambda: all(client.body == b"hello" for client in clients))


async def test_a_client_that_leaves_before_its_request_has_begun_is_never_started(
    redis_settings: RedisSettings,
) -> None:
    """P3: the packets of one turn come together, and the withdrawal counts."""
    host = RecordedHost(play=respond)
    async with interface(redis_settings) as server, worker(redis_settings, host) as one:
        await invited(server, one)
        count = len(host.instances)
        client = knock(server, method="POST")
        client.upstream.leave()
        answered = knock(server)
        await until(lambda: answered.body == b"hello")
        assert server.direct.count == 2 and len(host.instances) == count + 1


async def test_a_recall_ends_nothing_that_has_begun(redis_settings: RedisSettings) -> None:
    host = RecordedHost()
    async with interface(redis_settings) as server, worker(redis_settings, host) as one:
        await invited(server, one)
        client = knock(server, method="POST")
        instance = await adopted(host, len(host.instances) + 1)
        number = client.upstream.connection.number
        server.node.post(one.node.name, packets.cancel(number, 1, Cancel.RECALLED))
        knock(server)
        await adopted(host, len(host.instances) + 1)  # by a packet behind the recall
        assert not instance.disconnects
        respond(instance)
        await until(lambda: client.body == b"hello")


async def test_a_batch_that_is_read_twice_starts_a_request_once(redis_settings: RedisSettings, redis: Redis) -> None:
    """P2, P3: as after a fail-over, or a batch of unknown outcome."""
    host = RecordedHost(play=respond)
    async with interface(redis_settings) as server, worker(redis_settings, host) as one:
        await invited(server, one)
        count = len(host.instances)
        inbox = f"{redis_settings.prefix}inbox:{one.node.name}"
        client = knock(server, method="POST")
        await until(lambda: client.body == b"hello")
        (_, fields), *_ = redis.xrevrange(inbox, count=1)
        redis.xadd(inbox, fields)
        last = knock(server)
        await until(lambda: last.body == b"hello")
        assert len(host.instances) == count + 2


async def test_a_worker_that_leaves_loses_nothing_that_it_was_sent(redis_settings: RedisSettings) -> None:
    """P3, P7: with requests on their way to it all the time; those that may start only once start once."""
    host, other_host = RecordedHost(play=respond), RecordedHost(play=respond)
    clients: list[Recorded] = []
    async with interface(redis_settings) as server, worker(redis_settings, other_host):
        async with worker(redis_settings, host) as one:
            await invited(server, one)
            asking = asyncio.create_task(ask(server, clients))
            await until(lambda: one.direct.begun_count > 20)
            await one.stop_taking()
            await until(lambda: not one.downstreams and not one.taking_count)
        count = len(clients)
        await until(lambda: len(clients) > count + 20)
        asking.cancel()
        await until(lambda: all(client.body == b"hello" for client in clients), "each is answered")
    assert not [client.end_reason for client in clients if client.end_reason is not None]
    started = Counter(instance.request for instance in host.instances + other_host.instances)
    posts = [count for request, count in started.items() if request.startswith("POST")]
    assert len(posts) == len(clients) / 2 and max(posts) == 1


async def ask(server: InterfaceDispatcher, clients: list[Recorded]) -> None:
    while True:
        path = {"path": f"/{len(clients)}"}
        clients += [knock(server, method="POST", differs=path), knock(server, differs=path)]
        await asyncio.sleep(0.001)


async def test_a_quick_worker_acknowledges_with_its_answers_what_may_start_twice(
    redis_settings: RedisSettings, redis: Redis
) -> None:
    """P3. Others may take what it is asked for, but its acknowledgement is not awaited for long. What may start only once waits for it."""
    loop = asyncio.get_running_loop()
    host = RecordedHost(
        play=lambda instance: loop.call_soon(respond, instance)
    )  # in a turn of its own, as an application's task
    async with (
        interface(redis_settings) as server,
        worker(redis_settings, host) as one,
        worker(redis_settings, RecordedHost()) as other,
    ):
        await invited(server, one, other)
        recall_nothing(server)
        assert await kinds_in_answer(redis, server, one) == [[packets.INVITE], [packets.DATA]]
        one.direct.invitations.began(QUICK_AFTER, 0.0)
        assert await kinds_in_answer(redis, server, one) == [[packets.DATA, packets.INVITE]]
        assert await kinds_in_answer(redis, server, one, "POST") == [[packets.INVITE], [packets.DATA]]
        one.direct.on_blocked()
        await invited(server, one)
        assert await kinds_in_answer(redis, server, one) == [[packets.INVITE], [packets.DATA]]


async def test_a_quick_worker_that_is_blocked_by_a_request_does_not_invite_behind_it(
    redis_settings: RedisSettings,
) -> None:
    """Its acknowledgement comes behind the first step of the request, with what it has to offer by then."""
    loop = asyncio.get_running_loop()
    host = RecordedHost(play=lambda instance: loop.call_soon(lambda: (compute(0.1), respond(instance))))
    async with (
        interface(redis_settings) as server,
        worker(redis_settings, host, notices_blocks=True) as one,
        worker(redis_settings, RecordedHost()) as other,
    ):
        await invited(server, one, other)
        recall_nothing(server)
        one.direct.invitations.began(QUICK_AFTER, 0.0)
        client = knock(server, previous=one.node.name)
        number = client.upstream.connection.number
        known = server.direct.workers.by_name[one.node.name]
        await until(lambda: client.body == b"hello" and known.last == number)
        assert known.quota == 0 and known.rests


async def kinds_in_answer(
    redis: Redis, server: InterfaceDispatcher, one: WorkerDispatcher, method: str = "GET"
) -> list[list[int]]:
    """The kinds of the packets in each batch by which this worker answers a request."""
    inbox = f"{server.node.context.settings.prefix}inbox:{server.node.name}"
    (before, _), *_ = redis.xrevrange(inbox, count=1)
    client = knock(server, method=method, previous=one.node.name)
    number = client.upstream.connection.number
    await until(lambda: client.body == b"hello")
    await until(lambda: server.direct.workers.by_name[one.node.name].last == number)
    batches = [unpack_batch(fields[b"b"]) for _, fields in redis.xrange(inbox, min=b"(" + before)]
    return [[packet[0] for packet in batch] for sender, batch in batches if sender == one.node.name]


async def test_a_dead_worker_is_forgotten_and_its_requests_end_or_start_again(redis_settings: RedisSettings) -> None:
    """P6: what it had begun is judged as ever."""
    host = RecordedHost()
    async with interface(redis_settings) as server, worker(redis_settings, host) as one:
        await invited(server, one)
        count = len(host.instances)
        post, get = knock(server, method="POST"), knock(server)
        await adopted(host, count + 2)
        server.on_dead(one.node.name)
        assert not server.direct.workers.by_name
        assert post.end_reason is EndReason.DIED and get.end_reason is None
        assert get.upstream.connection.epoch == 2
        host.play = respond
        await until(lambda: get.body == b"hello")


async def test_a_worker_whose_loop_was_blocked_invites_no_more_for_a_while(redis_settings: RedisSettings) -> None:
    """What waits in an inbox would wait behind the next block; the shared channel leads to other workers."""

    def block(instance: RecordedInstance) -> None:
        if instance.request == "GET /blocks":
            compute(0.1)
        respond(instance)

    host = RecordedHost(play=block)
    async with interface(redis_settings) as server, worker(redis_settings, host, notices_blocks=True) as one:
        await invited(server, one)
        client = knock(server, differs={"path": "/blocks"})
        await until(lambda: not server.direct.workers.by_name[one.node.name].takes_more, "the invitation is withdrawn")
        count = server.direct.count
        later = knock(server)
        assert server.direct.count == count
        await until(lambda: client.body == later.body == b"hello")
        await until(lambda: server.direct.workers.by_name[one.node.name].takes_more, "it invites again")


def compute(seconds: float) -> None:
    """Keep this thread for so long, on the CPU: time without one would not count as blocked."""
    until_s = time.thread_time() + seconds
    while time.thread_time() < until_s:
        pass


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_request_that_redis_refuses_is_answered_at_once_whichever_way_it_was_to_go(
    own_redis: RedisServer, method: str
) -> None:
    """P3, P9. Nothing of it was begun. What follows goes by the shared channel, and directly again when Redis takes packets."""
    settings, host = RedisSettings(url=own_redis.url), RecordedHost(play=respond)
    async with interface(settings) as server, worker(settings, host) as one:
        await invited(server, one)
        with own_redis.client() as redis:
            redis.config_set("maxmemory", 1)
            clients = [knock(server, method=method) for _ in range(3)]
            assert server.direct.count == 3
            clients[2].upstream.leave()  # its `cancel` stands behind it
            await until(lambda: all(client.end_reason is EndReason.UNAVAILABLE for client in clients[:2]))
            refused = knock(server, method=method)
            await until(lambda: refused.end_reason is EndReason.UNAVAILABLE)
            assert not server.connection_count and server.node._outbox.empty
            redis.config_set("maxmemory", 0)
        await until(lambda: server.node.takes_packets)
        count = server.direct.count
        client = knock(server, method=method)
        await until(lambda: client.body == b"hello")
        assert server.direct.count == count + 1 and len(host.instances) == 1


async def test_what_redis_has_of_a_request_that_was_sent_directly_is_not_taken_back(own_redis: RedisServer) -> None:
    """P3, P9. Its body and its answer wait for a Redis that takes them."""
    settings, host = RedisSettings(url=own_redis.url), RecordedHost()
    async with interface(settings) as server, worker(settings, host) as one:
        await invited(server, one)
        client = knock(server, method="POST", body=b"a", more=True)
        instance = await adopted(host)
        await until(lambda: client.upstream.connection.outgoing.has_credit)
        with own_redis.client() as redis:
            redis.config_set("maxmemory", 1)
            client.upstream.forward({"type": "http.request", "body": b"b", "more_body": False}, 65)
            instance.send({"type": "http.response.start", "status": 200, "headers": []})
            instance.send({"type": "http.response.body", "body": b"hello", "more_body": False})
            await until(lambda: not server.node.takes_packets and not one.node.takes_packets, "both are refused")
            assert client.end_reason is None and not client.events and not instance.fed
            redis.config_set("maxmemory", 0)
        await until(lambda: client.body == b"hello" and instance.fed)


@pytest.mark.interpreted  # replaces a method of the node
async def test_what_a_worker_could_not_acknowledge_is_not_begun_and_queued_again(own_redis: RedisServer) -> None:
    """P3, P9. Redis has run out of memory between the request and its acknowledgement."""
    settings, host = RedisSettings(url=own_redis.url), RecordedHost(play=respond)
    async with interface(settings) as server, worker(settings, host) as one:
        await invited(server, one)
        with own_redis.client() as redis:
            send_alone = one.node.send_alone

            def fill_and_send(node: str, packed: bytes, on_answer: OnAnswer) -> None:
                redis.config_set("maxmemory", 1)
                send_alone(node, packed, on_answer)

            one.node.send_alone = fill_and_send
            client = knock(server, method="POST")
            await until(lambda: not one.node.takes_packets, "its refusal of the request is refused too")
            assert not host.instances and client.end_reason is None
            one.node.send_alone = send_alone
            redis.config_set("maxmemory", 0)
        await until(lambda: client.body == b"hello")
        assert server.counters["requeued.not_started"] == len(host.instances) == 1


async def test_what_waits_on_the_shared_channel_is_served_before_what_comes(
    redis_settings: RedisSettings, redis: Redis
) -> None:
    """P4. The places that it will take are not offered: four, of which two are left."""
    host = RecordedHost(slots=4, play=respond)
    async with interface(redis_settings) as server, worker(redis_settings, host) as one:
        await invited(server, one)
        told = server.direct.workers.by_name[one.node.name]
        await until(lambda: told.quota == 4)
        (channel,) = (each for each in one.consumer._channels if each.kind == "http")
        channel._length, channel._length_at = 2, asyncio.get_running_loop().time()
        one.direct.update()
        await until(lambda: told.quota == 2)
        channel._length_at = -math.inf
        one.direct.update()
        await until(lambda: told.quota == 4)


async def test_an_interface_server_that_was_not_seen_for_a_while_is_invited_again(
    redis_settings: RedisSettings,
) -> None:
    """P9: in an outage of Redis all leases end, and with them the invitations."""
    host = RecordedHost(play=respond)
    async with interface(redis_settings) as server, worker(redis_settings, host) as one:
        await invited(server, one)
        one.node._peers.living.clear()
        one.direct.update()
        last = knock(server)  # its acknowledgement withdraws the invitation: there is no guest to share the places
        told = server.direct.workers.by_name[one.node.name]
        await until(lambda: last.body == b"hello" and not told.quota)
        await invited(server, one)


async def test_an_interface_server_that_took_a_worker_for_dead_is_invited_again(
    redis_settings: RedisSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P6: a worker that was only slow."""
    monkeypatch.setattr(direct_requests, "REPEAT_S", 0.0)
    host = RecordedHost(play=respond)
    async with interface(redis_settings) as server, worker(redis_settings, host) as one:
        await invited(server, one)
        server.direct.left(one.node.name)
        await until(lambda: one.node.name in server.direct.workers.by_name)


async def test_the_requests_of_one_connection_stay_with_one_worker(redis_settings: RedisSettings) -> None:
    """As its client's side remembers the worker; others, without one to remember, are spread."""
    hosts = [RecordedHost(play=respond), RecordedHost(play=respond)]
    async with (
        interface(redis_settings) as server,
        worker(redis_settings, hosts[0]) as one,
        worker(redis_settings, hosts[1]) as other,
    ):
        await invited(server, one, other)
        recall_nothing(server)
        for _ in range(20):
            client = knock(server, previous=other.node.name)
            await until(lambda client=client: client.body == b"hello")  # type: ignore[misc]
        assert [len(host.instances) for host in hosts] == [0, 20]
        for _ in range(20):
            client = knock(server)
            await until(lambda client=client: client.body == b"hello")  # type: ignore[misc]
        assert [len(host.instances) for host in hosts] == [10, 30]
