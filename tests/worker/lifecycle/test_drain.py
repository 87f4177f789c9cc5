"""What a drain closes: over a real Redis, with clients and applications that the test plays."""

from __future__ import annotations

import asyncio

from channel_layer.messaging.entry import Entry
from channel_layer.settings import RedisSettings
from tests.support.both_dispatchers import RecordedHost, RecordedInstance, adopted, interface, knock, worker
from worker.lifecycle.drain import drain, websockets


class IdleHost(RecordedHost):
    """A host in which nothing runs."""

    running_count = 0


class Nameless(RecordedInstance):
    """An instance without a text for the log."""

    @property
    def request(self) -> str:
        return ""


async def test_websockets_are_known_by_their_kind_and_not_by_a_text_for_the_log(redis_settings: RedisSettings) -> None:
    """P7. A request has the whole time of a drain; only WebSockets are closed near its end."""
    host = RecordedHost()
    async with interface(redis_settings) as server, worker(redis_settings, host) as dispatcher:
        for kind in ("http", "websocket"):
            knock(server, kind=kind)
        await adopted(host, 2)
        for run in host.instances:
            downstream = dispatcher.registry.by_key[run.downstream.key]
            downstream.instance = Nameless(run.scope, b"", False, run.downstream)
        kinds = [each.instance.kind for each in websockets(dispatcher.downstreams) if each.instance is not None]
        assert kinds == ["websocket"]


async def test_a_drain_waits_for_takes_under_way(redis_settings: RedisSettings) -> None:
    """P7. Redis may have given the connection to this worker already: who leaves before the answer lets its client fail.

    Found by the simulation once, in schedules that are rare.
    """
    host, loop = IdleHost(), asyncio.get_running_loop()
    async with worker(redis_settings, host) as dispatcher:
        asked = Entry(b"1-0", 10, ("interface.0123456789ab", 1, 1), [])
        assert dispatcher.consumer.adoption.choose([asked], loop.time()) == [asked]
        draining = asyncio.ensure_future(drain(dispatcher, host, 60.0, asyncio.Event()))
        done, _ = await asyncio.wait((draining,), timeout=0.5)
        assert not done
        dispatcher.consumer.adoption.answered(asked.key)
        async with asyncio.timeout(20.0):
            await draining
