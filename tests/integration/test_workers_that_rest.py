"""Workers whose application has blocked their event loop rest: they invite for nothing, and take from the shared channel."""

from __future__ import annotations

from redis import Redis

from channel_layer.settings import RedisSettings
from tests.support.both_dispatchers import RecordedHost, interface, invited, knock, respond, worker
from tests.support.facts import until
from tests.support.silent_worker import SilentWorker


async def test_no_request_waits_for_the_one_worker_that_invites_while_others_rest(
    redis_settings: RedisSettings, redis: Redis
) -> None:
    """One is sent to it, since it seems to idle, and is asked back; the others take the shared channel at once."""
    host = RecordedHost(play=respond)
    async with interface(redis_settings) as server, worker(redis_settings, host) as one:
        await invited(server, one)
        told = server.direct.workers.by_name[one.node.name]
        one.direct.on_blocked()
        await until(lambda: told.rests and not told.takes_more)
        silent = SilentWorker(redis, redis_settings, server, {})
        await until(lambda: silent.name in server.direct.workers.by_name)
        one.direct.on_blocked()  # it rests for longer than this test takes
        clients = [knock(server, differs={"path": f"/{number}"}) for number in range(5)]
        assert [client.upstream.connection.owner for client in clients] == [silent.name, None, None, None, None]
        await until(lambda: all(client.body == b"hello" for client in clients), "all are answered")
        assert server.counters["direct.recalled"] == 1


async def test_a_worker_without_free_places_does_not_rest(redis_settings: RedisSettings) -> None:
    host = RecordedHost(play=respond)
    async with interface(redis_settings) as server, worker(redis_settings, host) as one:
        await invited(server, one)
        told = server.direct.workers.by_name[one.node.name]
        host.slots = 0
        one.direct.update()
        await until(lambda: not told.takes_more)
        assert not told.rests and not told.could_take_more
        host.slots = 5
        one.direct.on_blocked()
        await until(lambda: told.could_take_more)
        assert told.rests
        one.pause(True)
        await until(lambda: not told.could_take_more)


async def test_a_worker_that_has_closed_invites_no_more(redis_settings: RedisSettings) -> None:
    """What its last requests have freed is announced a moment later."""
    async with interface(redis_settings) as server, worker(redis_settings, RecordedHost(play=respond)) as one:
        await invited(server, one)
        one.read_more()
        timer = one.direct._update_timer
        assert timer is not None
    assert timer.cancelled()
