"""Messages to groups that are lost while a subscription is away are noticed: what came and what was missed is what was published.

On both servers that Towpath supports, in the ways in which a subscription is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis import Redis

from channel_layer.messaging.group_sequence import COUNTER_TTL_MS
from channel_layer.messaging.pubsub import PROBE_ANSWER_CHECKS, PROBE_CHECKS
from channel_layer.protocol.codec import pack
from channel_layer.protocol.keys import Keys
from channel_layer.redis.scripts import PUBLISH
from channel_layer.settings import RedisSettings
from tests.support.facts import until
from tests.support.group_node import GroupMembers, group_members, publisher
from tests.support.guarded_redis import REDIS, needs_redis, permissions
from tests.support.redis_sentinels import RedisSentinels
from tests.support.redis_server import RedisServer
from tests.support.swallowing_proxy import SwallowingProxy

ROOT = Path(__file__).parents[2]
PREFIX = "p:"
KEYS = Keys(PREFIX)
#: News, its probe, and the group; a publisher has the first two alone.
SUBSCRIPTIONS_OF_MEMBERS = "3"


@pytest.fixture(params=["valkey", pytest.param("redis", marks=needs_redis)])
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    server = RedisServer(binary=REDIS or "" if request.param == "redis" else "").start()
    yield server
    server.remove()


@contextlib.asynccontextmanager
async def members_of_chat(url: str) -> AsyncIterator[GroupMembers]:
    async with group_members(RedisSettings(url=url, prefix=PREFIX), "chat") as members:
        yield members


def publish(redis: Redis, *texts: str, group: str = "chat") -> None:
    """As any process does it. It is sync: no member reads meanwhile."""
    for text in texts:
        event = pack({"type": "note", "text": text})
        redis.eval(
            PUBLISH.text,
            2,
            KEYS.group_sequence(group),
            KEYS.group_channels(group),
            KEYS.group(group),
            event,
            COUNTER_TTL_MS,
        )


def kill_subscriptions(redis: Redis) -> None:
    assert redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub") >= 1


async def test_what_is_published_while_a_subscription_is_killed_comes_or_is_counted(server: RedisServer) -> None:
    """P10. Another process publishes all the time. No message comes twice, and none is missed without being counted."""
    count = 3_000
    async with members_of_chat(server.url) as members:
        with (
            server.client() as redis,
            subprocess.Popen(publisher(server.url, PREFIX, "chat", count), cwd=ROOT) as other,
        ):
            while other.poll() is None:
                more = len(members.texts) + 1
                await until(lambda more=more: len(members.texts) >= more or other.poll() is not None)
                for client in redis.client_list(_type="pubsub"):
                    if client["sub"] == SUBSCRIPTIONS_OF_MEMBERS:
                        redis.client_kill_filter(_id=client["id"])
            assert other.returncode == 0
        await until(lambda: len(members.texts) + members.missed == count, "all has come or is counted")
        assert members.missed > 0 and members.node.counters["groups.messages_missed"] == members.missed
        assert members.texts == sorted(set(members.texts), key=int)


async def test_a_loss_is_noticed_before_the_next_message_comes(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """P10. Of a group to which nothing was ever sent too; it is in the log, and told before what comes then."""
    async with members_of_chat(server.url) as members:
        with server.client() as redis:
            for lost in (["a"], ["b", "c"]):
                kill_subscriptions(redis)
                publish(redis, *lost)
                await until(lambda lost=lost: members.losses[-1:] == [("chat", len(lost))])
            publish(redis, "d")
            await until(lambda: members.texts)
        assert members.events == ["missed 1", "missed 2", "d"]
    assert [line for line in caplog.messages if "missed" in line] == [
        "1 message(s) to group chat were missed while its subscription was away; 1 such since the last such line"
    ]


async def test_a_subscriber_that_is_too_slow_for_redis_knows_what_it_has_lost(server: RedisServer) -> None:
    """P10. Redis ends its connection at `client-output-buffer-limit`, and what was in the buffer is lost too.

    By small messages: Valkey 9 counts large ones once for all connections.
    """
    with server.client() as redis:
        redis.config_set("client-output-buffer-limit", "pubsub 65536 0 0")
        async with members_of_chat(server.url) as members:
            publish(redis, *(f"{number} {'x' * 1_000}" for number in range(3_000)))
            await until(lambda: len(members.texts) + members.missed == 3_000)
            assert members.missed > 0
            publish(redis, "at last")
            await until(lambda: members.texts[-1] == "at last")
            assert len(members.losses) <= 2


async def test_a_redis_that_was_emptied_begins_to_count_anew_and_nothing_is_missed(server: RedisServer) -> None:
    """P10, P9. The counter of an emptied Redis is another one; what it has counted while nobody listened was missed."""
    async with members_of_chat(server.url) as members:
        with server.client() as redis:
            publish(redis, "1", "2", "3")
            await until(lambda: len(members.texts) == 3)
            await another_quarter_of_a_second(redis)
            redis.flushall()
            publish(redis, "4", "5", "6", "7")
            await until(lambda: len(members.texts) == 7)
            assert members.losses == []
            await another_quarter_of_a_second(redis)
            kill_subscriptions(redis)
            redis.flushall()
            publish(redis, "8", "9")
            await until(lambda: members.losses == [("chat", 2)])


async def another_quarter_of_a_second(redis: Redis) -> None:
    """By Redis' clock: a counter begins with it."""
    seconds, microseconds = redis.time()
    begun = seconds * 4 + microseconds // 250_000
    await until(lambda: (now := redis.time())[0] * 4 + now[1] // 250_000 > begun)


async def test_a_counter_that_has_ended_meanwhile_is_not_mistaken(server: RedisServer) -> None:
    """P10, P11. An hour after the last message the counter is gone; the next one has other numbers."""
    async with members_of_chat(server.url) as members:
        with server.client() as redis:
            publish(redis, "1", "2")
            await until(lambda: len(members.texts) == 2)
            assert 0 < redis.pttl(KEYS.group_sequence("chat")) <= COUNTER_TTL_MS
            await another_quarter_of_a_second(redis)
            redis.delete(KEYS.group_sequence("chat"))
            kill_subscriptions(redis)
            publish(redis, "3", "4")
            await until(lambda: members.losses == [("chat", 2)])


async def test_what_was_published_during_a_fail_over_is_noticed() -> None:
    """P10, P9. The replica has the counter; who is slower to come to the new primary than a publisher knows what it has missed."""
    sentinels = RedisSentinels()
    try:
        sentinels.start()
        async with members_of_chat(sentinels.url) as members:
            first = sentinels.primary
            with first.client() as redis:
                publish(redis, "1", "2")
                assert redis.wait(1, 5_000) == 1
            await until(lambda: len(members.texts) == 2)
            first.stop()
            sentinels.wait_for_promotion(first.port)  # blocks the loop: nobody comes before this publisher
            with sentinels.primary.client() as redis:
                publish(redis, "3", "4", "5")
            await until(lambda: members.losses == [("chat", 3)])
            await until(lambda: members.node.is_subscribed("chat"))
            with sentinels.primary.client() as redis:
                publish(redis, "6")
            await until(lambda: members.texts == ["1", "2", "6"])
            assert members.losses == [("chat", 3)]
    finally:
        sentinels.remove()


async def test_who_is_behind_a_connection_that_fell_mute_learns_what_it_has_missed(server: RedisServer) -> None:
    """P10. No end, no error: the probe does not come back, and the counter says how much was published meanwhile."""
    proxy = SwallowingProxy(server.socket).start()
    try:
        async with members_of_chat(proxy.url) as members:
            with server.client() as redis:
                publish(redis, "1")
                await until(lambda: members.texts == ["1"])
                groups = members.node._groups
                (pair,) = (pair for pair in proxy._pairs if KEYS.group("chat").encode() in pair.said)
                pair.mute = True
                publish(redis, "2", "3", "4")
                checks = [groups.check() for _ in range(PROBE_CHECKS + PROBE_ANSWER_CHECKS + 1)]
                assert any(checks)
                await until(lambda: members.losses == [("chat", 3)])
                publish(redis, "5")
                await until(lambda: members.texts == ["1", "5"])
    finally:
        proxy.stop()


async def test_a_publisher_that_dies_leaves_no_number_without_its_message(server: RedisServer) -> None:
    """P10. Number and message are one step: whenever a publisher is killed, nothing is missed that was never published."""
    async with members_of_chat(server.url) as members:
        for _ in range(4):
            before = len(members.texts)
            with subprocess.Popen(
                publisher(server.url, PREFIX, "chat", 1_000_000), cwd=ROOT, stdout=subprocess.DEVNULL
            ) as other:
                await until(lambda before=before: len(members.texts) > before + 50)
                other.send_signal(signal.SIGKILL)
        with server.client() as redis:
            publish(redis, "end")
            await until(lambda: members.texts[-1] == "end")
            counted = int(redis.get(KEYS.group_sequence("chat")) or 0) % 524_288
        assert (members.losses, len(members.texts)) == ([], counted)


async def test_nothing_is_sent_twice_when_redis_has_forgotten_the_script(server: RedisServer) -> None:
    """P10. Also of messages that are sent at once."""
    async with members_of_chat(server.url) as members:
        with server.client() as redis:
            for number in range(5):
                redis.script_flush()
                await asyncio.gather(
                    *(
                        members.node.publish("chat", pack({"type": "note", "text": f"{number}.{each}"}))
                        for each in range(4)
                    )
                )
            await until(lambda: len(members.texts) >= 20)
            publish(redis, "end")
            await until(lambda: members.texts[-1] == "end")
        assert members.texts == [f"{number}.{each}" for number in range(5) for each in range(4)] + ["end"]
        assert members.losses == []


async def test_messages_without_a_number_are_delivered_as_before(server: RedisServer) -> None:
    """P10. During a rolling upgrade older processes publish the bare message."""
    async with members_of_chat(server.url) as members:
        with server.client() as redis:
            publish(redis, "1")
            redis.publish(KEYS.group("chat"), pack({"type": "note", "text": "2"}))
            publish(redis, "3")
            await until(lambda: members.texts == ["1", "2", "3"])
        assert members.losses == []


async def test_a_user_with_the_rights_that_operations_names_may_publish_and_read_counters(server: RedisServer) -> None:
    """P10, P12. Redis' log of what it denied stays empty."""
    with server.client() as redis:
        rights = permissions().replace("towpath:", PREFIX).split()
        redis.execute_command("ACL", "SETUSER", "bargee", "on", ">lock", *rights)
        async with members_of_chat(f"unix://bargee:lock@{server.socket}") as members:
            await members.node.publish("chat", pack({"type": "note", "text": "1"}))
            await until(lambda: members.texts == ["1"])
            kill_subscriptions(redis)
            publish(redis, "2")
            await until(lambda: members.losses == [("chat", 1)])
        denied = {entry["object"].partition("|")[0] for entry in redis.acl_log()}
        assert denied <= {"client"}  # by which redis-py names itself


async def test_a_redis_whose_memory_is_full_still_publishes(server: RedisServer) -> None:
    """P9, P10. A publish needs no memory that stays, and its counter next to none: it is no reason to refuse."""
    async with members_of_chat(server.url) as members:
        with server.client() as redis:
            redis.config_set("maxmemory-policy", "noeviction")
            redis.config_set("maxmemory", "1")
            for text in ("1", "2"):
                await members.node.publish("chat", pack({"type": "note", "text": text}))
            await until(lambda: members.texts == ["1", "2"])
            redis.config_set("maxmemory", "0")


async def test_a_counter_that_cannot_be_read_yet_is_read_later(server: RedisServer) -> None:
    """P9, P10. The two connections of a node come back in either order."""
    async with members_of_chat(server.url) as members:
        groups = members.node._groups
        with server.client() as redis:
            connection, groups._commands.connection = groups._commands.connection, None
            kill_subscriptions(redis)
            publish(redis, "1")
            await until(lambda: groups.interruptions == 1)
            assert members.losses == []
            groups._commands.connection = connection
            await until(lambda: members.losses == [("chat", 1)])


async def test_many_groups_are_compared_at_once_after_one_interruption(server: RedisServer) -> None:
    """P10. By some reads, not by one for each group, and each group's loss is its own."""
    names = [f"g{number}" for number in range(1_200)]
    async with group_members(RedisSettings(url=server.url, prefix=PREFIX), *names) as members:
        with server.client() as redis:
            before = calls(redis, "mget")
            kill_subscriptions(redis)
            publish(redis, "lost", group="g7")
            publish(redis, "lost", "lost", group="g1100")
            await until(lambda: len(members.losses) == 2)
            assert sorted(members.losses) == [("g1100", 2), ("g7", 1)]
            assert calls(redis, "mget") - before < 100


def calls(redis: Redis, command: str) -> int:
    """How often Redis has executed it."""
    statistics = redis.info("commandstats")
    return sum(
        int(found["calls"])
        for name, found in statistics.items()
        if re.fullmatch(f"cmdstat_{command}", name) is not None
    )
