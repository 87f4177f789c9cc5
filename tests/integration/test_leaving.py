"""What a worker still does, and does no more, when it was asked to stop."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import pytest

from channel_layer.protocol import packets
from channel_layer.protocol.packets import Cancel
from channel_layer.settings import RedisSettings
from interface_server.connections.interfaces import EndReason
from tests.support.both_dispatchers import RecordedHost, adopted, interface, knock, respond, worker
from tests.support.facts import until
from worker.application.loader import LoadedApplication
from worker.asgi.host import AsgiHost
from worker.connections.dispatcher import Dispatcher as WorkerDispatcher
from worker.lifecycle.drain import CLOSED_BY, CLOSING_FROM, cut, drain
from worker.settings import WorkerSettings


async def test_what_was_said_before_the_end_is_sent_before_the_end(redis_settings: RedisSettings) -> None:
    """P7. The application is done, and more waits than one batch holds: a response is not cut by the worker's leaving."""
    part = {"type": "http.response.body", "body": b"x" * 65_472, "more_body": True}
    host = RecordedHost()
    async with interface(redis_settings) as server:
        async with worker(redis_settings, host):
            client = knock(server)
            instance = await adopted(host)
            instance.send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(200):
                instance.send(part)
            instance.send({**part, "more_body": False})
            instance.downstream.complete()
        await until(lambda: len(client.body) == 201 * 65_472)


async def test_what_is_said_to_who_has_left_tells_of_no_death(
    redis_settings: RedisSettings, caplog: pytest.LogCaptureFixture
) -> None:
    """P7. A last word crosses with those of a worker that leaves: no inbox is there then, as after a death, whose line is an alarm."""
    redis_settings = RedisSettings(url=redis_settings.url, prefix=redis_settings.prefix, lease_ttl_s=2.0)
    async with interface(redis_settings) as server:
        async with worker(redis_settings, RecordedHost()) as left:
            pass
        await until(lambda: server.node._own_lease.may_declare_dead(time.monotonic()), "it may say who is dead")
        server.node.post(left.node.name, packets.cancel(1, 1, Cancel.LEFT))
        await until(lambda: server.node._outbox.empty, "nobody will read that")
        await until(lambda: not server.node._peers._dead, "its shutdown was processed")
    assert "is over" not in caplog.text and not server.node.counters["peers.dead"]


async def test_who_takes_no_more_does_not_take_what_it_was_waiting_for(redis_settings: RedisSettings) -> None:
    """P7. A read that blocks in Redis when the worker is asked to stop brings nothing any more: others take it, and at once."""
    leaves, stays = RecordedHost(), RecordedHost(play=respond)
    async with interface(redis_settings) as server, worker(redis_settings, leaves) as leaving:
        first = knock(server)
        await adopted(leaves)
        await leaving.stop_taking()
        second = knock(server)
        async with worker(redis_settings, stays):
            await until(lambda: second.body == b"hello")
        assert len(leaves.instances) == 1
        respond(leaves.instances[0])
        await until(lambda: first.body == b"hello")


def test_what_is_closed_at_the_end_of_a_drain_is_closed_one_by_one(redis_settings: RedisSettings) -> None:
    """On a clock that no pause of the machine makes leap: a loop that stands still for a while misses no step."""
    with asyncio.Runner(loop_factory=SteadyLoop) as runner:
        runner.run(_closed_one_by_one(redis_settings))


async def _closed_one_by_one(redis_settings: RedisSettings) -> None:
    """P7. Clients that nobody can hand over would all come back in one moment; and before the time is over each is told."""
    now, count, drain_s = asyncio.get_running_loop().time, 12, 2.0
    ends: list[float] = []
    settings = WorkerSettings(redis=redis_settings, lifespan="off")
    application = LoadedApplication(silent, "asgi3", "test:silent")
    host = AsgiHost(application, settings, lambda: dispatcher.read_more())
    await host.startup()
    dispatcher = WorkerDispatcher(settings, host, Counter())
    async with interface(redis_settings) as server:
        await dispatcher.start()
        clients = [knock(server, kind="websocket") for _ in range(count)]
        await until(lambda: all(client.events for client in clients), "accepted")
        for client in clients:
            client.end = lambda end_reason, client=client: (
                ends.append(now()),
                setattr(client, "end_reason", end_reason),
            )
        began = now()
        await drain(dispatcher, host, drain_s, asyncio.Event())
        await until(lambda: len(ends) == count, "all are told")
        await host.shutdown()
        await dispatcher.close()
    assert {client.end_reason for client in clients} == {EndReason.STOPPING}
    assert ends[0] - began >= CLOSING_FROM * drain_s
    assert ends[-1] - ends[0] > 0.5 * (CLOSED_BY - CLOSING_FROM) * drain_s


async def test_an_instance_whose_hand_off_has_no_answer_is_told_when_the_time_is_over(
    redis_settings: RedisSettings,
) -> None:
    """P8. Redis may be away just then, or read-only: the answer never comes, and the application has to tidy up nevertheless, once."""
    host = RecordedHost()
    async with interface(redis_settings) as server, worker(redis_settings, host) as leaving:
        knock(server, kind="websocket")
        instance = await adopted(host)
        instance.send({"type": "websocket.accept", "resumable": True})
        instance.downstream.hand_off()
        cut(leaving.downstreams)  # in this turn of the loop, so before any answer
        assert instance.disconnects == [(1012, "")]
        await adopted(host, 2)
        assert instance.disconnects == [(1012, "")]


class SteadyLoop(asyncio.SelectorEventLoop):
    """Its clock goes on by a hundredth of a second at the most from one look at it to the next."""

    def __init__(self) -> None:
        super().__init__()
        self._looked_at, self._passed = time.monotonic(), 0.0

    def time(self) -> float:
        now = time.monotonic()
        self._passed += min(now - self._looked_at, 0.01)
        self._looked_at = now
        return self._passed


async def silent(_scope: Any, receive: Any, send: Any) -> None:
    """Accepts, and says nothing until its client goes."""
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass
