"""The way of a connection through Redis, with nothing but dispatchers on either side."""

from __future__ import annotations

from dataclasses import replace

from channel_layer.settings import RedisSettings
from interface_server.connections.interfaces import EndReason
from tests.support.both_dispatchers import RecordedHost, adopted, interface, knock, respond, worker
from tests.support.facts import until
from tests.support.redis_server import RedisServer
from worker.connections.interfaces import Close


async def test_a_request_reaches_a_worker_and_its_response_comes_back_in_order(redis_settings: RedisSettings) -> None:
    """P1, P2."""
    host = RecordedHost(play=respond)
    async with interface(redis_settings) as server, worker(redis_settings, host):
        clients = [knock(server) for _ in range(200)]
        await until(lambda: all(client.body == b"hello" for client in clients))
        for client in clients:
            assert [event["type"] for event in client.events] == ["http.response.start", "http.response.body"]
            client.upstream.complete()
        assert server.connection_count == 0


async def test_a_client_that_leaves_while_queued_is_never_started(redis_settings: RedisSettings) -> None:
    """P3. No worker lives yet; what was withdrawn is gone before one comes."""
    async with interface(redis_settings) as server:
        gone = [knock(server, method="POST") for _ in range(20)]
        await until(lambda: all(client.upstream.entry_id for client in gone), "queued")
        for client in gone:
            client.upstream.leave()
        stays = knock(server)
        host = RecordedHost(play=respond)
        async with worker(redis_settings, host):
            await until(lambda: stays.body == b"hello")
            assert len(host.instances) == 1


async def test_a_client_that_leaves_before_its_place_in_the_queue_is_known_is_withdrawn_too(
    redis_settings: RedisSettings,
) -> None:
    """P3. The answer to `open` comes after the client has gone."""
    async with interface(redis_settings) as server:
        for client in [knock(server, method="POST") for _ in range(20)]:
            client.upstream.leave()
        connection = server.node._commands.connection
        assert connection is not None

        stays = knock(server)
        await until(lambda: stays.upstream.entry_id)
        assert await connection.execute("XLEN", server.node.context.keys.channel("http.request")) == 1


async def test_a_full_channel_refuses_the_newest_and_keeps_the_oldest(redis_settings: RedisSettings) -> None:
    """P4. Those who wait are served; who comes too late is told at once."""
    redis_settings = replace(redis_settings, request_capacity=3)
    async with interface(redis_settings) as server:
        first = [knock(server) for _ in range(3)]
        late = [knock(server) for _ in range(2)]
        await until(lambda: all(client.end_reason is EndReason.FULL for client in late))
        async with worker(redis_settings, RecordedHost(play=respond)):
            await until(lambda: all(client.body == b"hello" for client in first))


async def test_a_channel_is_full_of_bytes_too(redis_settings: RedisSettings) -> None:
    """P4, P5. First bodies in the queue count, and are given back when they are taken."""
    redis_settings = replace(redis_settings, queue_size_bytes_max=100_000)
    async with interface(redis_settings) as server:
        clients = [knock(server, method="POST", body=b"x" * 40_000) for _ in range(3)]
        await until(lambda: clients[2].end_reason is EndReason.FULL)
        async with worker(redis_settings, RecordedHost(play=respond)):
            await until(lambda: all(client.body == b"hello" for client in clients[:2]))
            again = knock(server, method="POST", body=b"x" * 40_000)
            await until(lambda: again.body == b"hello")


async def test_nobody_takes_it_in_time(redis_settings: RedisSettings) -> None:
    """A request that no worker takes ends with 503, and its entry is gone."""
    redis_settings = replace(redis_settings, queue_wait_s=0.2)
    async with interface(redis_settings) as server:
        client = knock(server)
        await until(lambda: client.end_reason is EndReason.LATE)
        assert server.node._commands.connection is not None
        assert (
            await server.node._commands.connection.execute("XLEN", server.node.context.keys.channel("http.request"))
            == 0
        )


async def test_a_body_flows_under_credit_and_stops_without(redis_settings: RedisSettings) -> None:
    """P5. What an application does not consume stays with the client, but for one window."""
    host = RecordedHost()
    async with interface(redis_settings) as server, worker(redis_settings, host):
        client = knock(server, method="POST", more=True)
        instance = await adopted(host)
        part = {"type": "http.request", "body": b"x" * 16_320, "more_body": True}
        sent = 0
        client.upstream.forward(part, 16_384)
        await until(lambda: instance.fed)
        while client.upstream.forward(part, 16_384):
            sent += 1
        assert sent < 20
        await until(lambda: len(instance.fed) == sent + 2 or len(instance.fed) == 16)
        assert client.resumed == 0
        for _ in instance.fed:
            instance.downstream.consumed(16_384)
        await until(lambda: client.resumed == 1)


async def test_a_response_stops_when_the_client_does_not_read(redis_settings: RedisSettings) -> None:
    """P5. The application's `send()` waits: there is no credit until bytes have left."""
    host = RecordedHost()
    async with interface(redis_settings) as server, worker(redis_settings, host):
        client = knock(server)
        client.takes = False
        instance = await adopted(host)
        instance.send({"type": "http.response.start", "status": 200, "headers": []})
        while instance.downstream.has_credit:
            instance.send({"type": "http.response.body", "body": b"x" * 65_472, "more_body": True})
        await until(lambda: client.undelivered >= 262_144)
        assert instance.resumed == 0
        client.upstream.delivered(client.undelivered)
        await until(lambda: instance.resumed == 1)


async def test_100_continue_waits_for_the_application(redis_settings: RedisSettings) -> None:
    """The client is asked for its body when the application asks, and not before (RFC 9110, 10.1.1)."""
    host = RecordedHost()
    async with interface(redis_settings) as server, worker(redis_settings, host):
        client = knock(server, method="POST", more=True, expect_continue=True)
        instance = await adopted(host)
        instance.send({"type": "http.response.start", "status": 200, "headers": []})
        await until(lambda: client.events)
        assert client.wanted_count == 0
        instance.downstream.request_body()
        await until(lambda: client.wanted_count == 1)
        assert client.upstream.forward({"type": "http.request", "body": b"now", "more_body": False}, 67)
        await until(lambda: instance.fed)


async def test_a_client_that_leaves_is_one_disconnect_for_its_instance(redis_settings: RedisSettings) -> None:
    """P8's small sister: one event, with its code and reason, and stale packets are answered, and change nothing."""
    host = RecordedHost()
    async with interface(redis_settings) as server, worker(redis_settings, host):
        client = knock(server, kind="websocket")
        instance = await adopted(host)
        client.upstream.leave(1001, "going")
        await until(lambda: instance.disconnects)
        instance.downstream.close(Close.FINISHED)
        other = knock(server)
        await adopted(host, 2)
        assert instance.disconnects == [(1001, "going")]
        assert other.end_reason is None


async def test_an_instance_that_fails_ends_its_client(redis_settings: RedisSettings) -> None:
    """The client's side learns why."""
    host = RecordedHost(play=lambda instance: instance.downstream.close(Close.FAILED))
    async with interface(redis_settings) as server, worker(redis_settings, host):
        client = knock(server)
        await until(lambda: client.end_reason is EndReason.FAILED)


async def test_a_group_send_reaches_all_members_after_the_add_returned(redis_settings: RedisSettings) -> None:
    """P10. One publish; members in two interface servers; who left the group hears nothing."""
    host = RecordedHost()
    async with (
        interface(redis_settings) as one,
        interface(redis_settings) as two,
        worker(redis_settings, host) as dispatcher,
    ):
        clients = [knock(server, kind="websocket") for server in (one, two) for _ in range(3)]
        await adopted(host, 6)
        for instance in host.instances:
            instance.send({"type": "websocket.accept"})
        layer = dispatcher.layer
        for client in clients:
            await layer.group_add("chat", client.upstream.channel)
        await layer.group_send("chat", {"type": "websocket.send", "text": "hello"})
        await until(lambda: all(len(client.pushed) == 1 for client in clients))
        await layer.group_discard("chat", clients[0].upstream.channel)
        await layer.send(clients[0].upstream.channel, {"type": "websocket.send", "text": "only you"})
        await layer.group_send("chat", {"type": "websocket.send", "text": "again"})
        await until(lambda: all(len(client.pushed) == 2 for client in clients))
        assert clients[0].pushed[1]["text"] == "only you"


async def test_when_all_are_gone_nothing_without_a_ttl_is_left(
    redis_settings: RedisSettings, redis_server: RedisServer
) -> None:
    """P11."""
    host = RecordedHost(play=respond)
    async with interface(redis_settings) as server, worker(redis_settings, host):
        client = knock(server)
        await until(lambda: client.body == b"hello")
    with redis_server.client() as redis:
        left = {key: redis.pttl(key) for key in redis.keys(f"{redis_settings.prefix}*")}
    assert all(ttl > 0 for ttl in left.values()), left


async def test_who_sends_faster_than_redis_takes_it_waits(redis_settings: RedisSettings) -> None:
    """P5. Forty MiB in a tight loop: all of it arrives, and never more than a little waits in the sender."""
    host = RecordedHost()
    async with interface(redis_settings) as server, worker(redis_settings, host) as dispatcher:
        client = knock(server, kind="websocket")
        (await adopted(host)).send({"type": "websocket.accept"})
        most = 0
        for _ in range(40):
            await dispatcher.layer.send(client.upstream.channel, {"type": "websocket.send", "text": "x" * 1_048_000})
            most = max(most, dispatcher.node._outbox.waiting_bytes(server.node.name))
        await until(lambda: len(client.pushed) == 40)
        assert most < 4 * 1_048_576
