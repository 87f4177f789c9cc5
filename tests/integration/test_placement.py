"""Where WebSockets go when one worker has many and another has none."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace
from typing import Any

import pytest

from channel_layer.messaging.channel_reader import PENDING_MS
from channel_layer.protocol.keys import CHANNEL_OF_KIND
from channel_layer.settings import RedisSettings
from interface_server.connections.dispatcher import Dispatcher as InterfaceDispatcher
from tests.support.both_dispatchers import Recorded, RecordedHost, interface, knock, worker
from tests.support.facts import until
from worker.connections.dispatcher import Dispatcher as WorkerDispatcher
from worker.placement.placement import DEFER_S


async def many(server: InterfaceDispatcher, count: int) -> float:
    """WebSockets that come one after the other, as a paced hand-off brings them; how long the slowest waited for its worker, in s."""
    now, slowest_s = asyncio.get_running_loop().time, 0.0
    for _ in range(count):
        began, socket = now(), knock(server, "websocket")
        await until(lambda socket=socket: socket.adoptions, "to be adopted", 5)
        slowest_s = max(slowest_s, now() - began)
    return slowest_s


async def crowd(server: InterfaceDispatcher, count: int) -> None:
    """WebSockets that come all at once."""
    sockets = [knock(server, "websocket") for _ in range(count)]
    await until(lambda: all(socket.adoptions for socket in sockets), "all adopted")


async def until_above_share(dispatcher: WorkerDispatcher) -> None:
    """Wait until it knows that it has more than its share, by leases that say what was there a moment ago, and not at their start."""
    watch = dispatcher.consumer.placement
    await until(
        lambda: watch.defer_s() > 0 and watch._placement.share > watch._own() / 2, "to know that it has too many"
    )


async def test_who_has_many_leaves_what_comes_to_who_has_none(redis_settings: RedisSettings) -> None:
    """P7. After a rolling restart the first worker would keep what it got when it was the only new one."""
    old, new = RecordedHost(), RecordedHost()
    async with interface(redis_settings) as server, worker(redis_settings, old) as first:
        await crowd(server, 200)
        async with worker(redis_settings, new):
            await until_above_share(first)
            before = len(old.instances)
            await many(server, 60)
            assert len(new.instances) >= 40
            assert len(old.instances) - before <= 20


@pytest.mark.parametrize("drains", [True, False])
async def test_what_no_other_takes_is_taken_by_those_above_their_share(
    redis_settings: RedisSettings, drains: bool
) -> None:
    """P7. The other one leaves, or is believed to be there and takes nothing: no socket waits for it."""
    old, new = RecordedHost(), RecordedHost()
    async with interface(redis_settings) as server, worker(redis_settings, old) as first:
        await crowd(server, 200)
        async with worker(redis_settings, new) as second:
            await until_above_share(first)
            if drains:
                await second.stop_taking()
            else:
                for reader in second.consumer._readers():
                    await reader.close()
            assert await many(server, 5) < 1.0
            assert len(old.instances) == 205


async def test_during_a_rollout_the_new_share_among_themselves_what_the_old_hand_over(
    redis_settings: RedisSettings,
) -> None:
    """P7. The first of the new has its share of all; the second one takes what comes then."""
    old, first, second = RecordedHost(), RecordedHost(), RecordedHost()
    one, two = (replace(redis_settings, generation=f"fleet/{number}") for number in (1, 2))
    async with interface(redis_settings) as server, worker(one, old) as older:
        await crowd(server, 300)
        async with worker(two, first) as early:
            await until(lambda: older.node.yields_to_newer, "the news")
            await crowd(server, 250)
            async with worker(two, second):
                await until_above_share(early)
                before = len(first.instances)
                await many(server, 60)
                assert len(second.instances) >= 40
                assert len(first.instances) - before <= 20


async def test_what_is_left_to_others_waits_for_a_moment_also_while_they_take_something(
    redis_settings: RedisSettings,
) -> None:
    """P7. A queue that moves, and is as long as before: the others are not enough."""
    host = RecordedHost(slots=0)
    async with interface(redis_settings) as server, worker(redis_settings, host) as dispatcher:
        waiting: deque[Recorded] = deque(knock(server, "websocket") for _ in range(20))
        found: list[Any] = []

        class Patient:
            pending_ms = PENDING_MS

            def read_limit(self) -> int:
                return 1

            def defer_s(self) -> float:
                return DEFER_S

            def on_entries(self, entries: list[Any]) -> bool:
                found.extend(entries)
                return True

        await dispatcher.node.read_channel(CHANNEL_OF_KIND["websocket"], Patient())
        end = asyncio.get_running_loop().time() + 2.0
        while not found and asyncio.get_running_loop().time() < end:
            waiting.append(knock(server, "websocket"))
            await until(lambda: waiting[-1].upstream.entry_id)
            waiting.popleft().upstream.leave()
        assert found
        for client in waiting:
            client.upstream.leave()
