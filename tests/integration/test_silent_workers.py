"""Workers that have invited and then read nothing: what they were sent directly is asked back, or judged by how they ended."""

from __future__ import annotations

from redis import Redis

from channel_layer.protocol import packets
from channel_layer.protocol.packets import Cancel, Close
from channel_layer.settings import RedisSettings
from interface_server.connections.interfaces import EndReason
from tests.support.both_dispatchers import interface, knock
from tests.support.facts import until
from tests.support.silent_worker import SilentWorker, beside_a_silent_worker, posts_to_a_silent_worker, process_to_kill


async def test_a_request_that_a_blocked_worker_has_not_begun_goes_to_another(
    redis_settings: RedisSettings, redis: Redis
) -> None:
    """Its first worker learns it by the packet behind the request, so it does not start that when it goes on."""
    async with beside_a_silent_worker(redis_settings, redis) as (server, silent):
        clients = [knock(server, differs={"path": f"/{number}"}) for number in range(4)]
        await until(lambda: all(client.body == b"hello" for client in clients), "all are answered")
        assert server.counters["direct.recalled"] == 2  # each second of them went to the silent one
        assert [packet[0] for packet in silent.heard()[1:]] == 2 * [packets.OPEN] + 4 * [packets.CANCEL]
        assert [packet[3] for packet in silent.heard()[3:]] == 2 * [Cancel.RECALLED] + 2 * [Cancel.MOVED]
        assert not server.direct.workers.by_name[silent.name].takes_more


async def test_one_that_may_start_only_once_goes_to_another_when_its_worker_gives_it_back(
    redis_settings: RedisSettings, redis: Redis
) -> None:
    """P3."""
    async with beside_a_silent_worker(redis_settings, redis) as (server, silent):
        clients = [knock(server, method="POST") for _ in range(2)]
        await until(lambda: len(silent.heard()) == 3, "it is asked back")
        kind, number, epoch, why, *_ = silent.heard()[-1]
        assert (kind, why) == (packets.CANCEL, Cancel.RECALLED)
        assert sorted(len(client.events) for client in clients) == [0, 2]  # nothing is started before the answer
        silent.say(packets.close(number, epoch, Close.NOT_STARTED))
        await until(lambda: all(client.body == b"hello" for client in clients))


async def test_what_a_worker_has_not_begun_starts_elsewhere_when_its_process_has_died(
    redis_settings: RedisSettings, redis: Redis
) -> None:
    """P3, P6: a process that was seen to die begins with nothing any more."""
    with process_to_kill() as (process, facts):
        async with posts_to_a_silent_worker(redis_settings, redis, facts) as (_, _, unanswered):
            process.kill()
            await until(lambda: unanswered.body == b"hello")
            assert unanswered.upstream.connection.epoch == 2


async def test_what_a_dead_worker_had_not_begun_starts_elsewhere_though_its_death_was_told_before_it_was_seen(
    redis_settings: RedisSettings, redis: Redis
) -> None:
    """P3, P6: an interface server on its machine knows that it begins with nothing any more."""
    with process_to_kill() as (process, facts):
        async with posts_to_a_silent_worker(redis_settings, redis, facts) as (server, silent, unanswered):
            await until(lambda: silent.name in server.node._peers._deaths.watched())
            process.kill()
            process.wait()  # the loop does not turn meanwhile, so that it has not seen that
            server.node._on_news("dead", silent.name)
            await until(lambda: unanswered.body == b"hello" or unanswered.end_reason is not None)
            assert unanswered.end_reason is None and unanswered.upstream.connection.epoch == 2


async def test_what_a_worker_may_begin_still_ends_when_its_lease_is_over(
    redis_settings: RedisSettings, redis: Redis
) -> None:
    """P3, P6: its process may only be slow, or unreachable."""
    async with posts_to_a_silent_worker(redis_settings, redis, {}) as (server, silent, unanswered):
        redis.delete(f"{redis_settings.prefix}node:{silent.name}")
        await server.node.check_peers()
        await until(lambda: unanswered.end_reason is EndReason.DIED)


async def test_a_client_may_be_told_to_try_again_until_its_worker_has_acknowledged_the_request(
    redis_settings: RedisSettings, redis: Redis
) -> None:
    """P3. An interface server that has no more time says so, if two starts do no harm."""
    async with interface(redis_settings) as server:
        silent = SilentWorker(redis, redis_settings, server, {})
        await until(lambda: silent.name in server.direct.workers.by_name)
        get, post = knock(server), knock(server, method="POST")
        assert get.upstream.connection.owner == post.upstream.connection.owner == silent.name
        assert get.upstream.may_be_sent_again and not post.upstream.may_be_sent_again
        silent.say(packets.invite(8, get.upstream.connection.number))
        await until(lambda: not get.upstream.may_be_sent_again, "it may have begun")
