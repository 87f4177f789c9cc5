"""Workers that have invited and then read nothing: what they were sent directly is asked back, or judged by how they ended."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis import Redis

from channel_layer.process import local_process
from channel_layer.protocol import packets
from channel_layer.protocol.codec import batch_head, join_batch, pack, unpack_batch
from channel_layer.protocol.packets import Cancel, Close
from channel_layer.settings import RedisSettings
from interface_server.connections.dispatcher import Dispatcher as InterfaceDispatcher
from interface_server.connections.interfaces import EndReason
from tests.support.both_dispatchers import Recorded, RecordedHost, interface, invited, knock, respond, worker
from tests.support.facts import until
from tests.support.redis_server import RedisServer


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[Redis]:
    with Redis(unix_socket_path=str(redis_server.socket)) as client:
        yield client


class SilentWorker:
    """A worker that invites and reads nothing, as if its application kept the event loop: its inbox and its lease, made by hand."""

    def __init__(
        self, redis: Redis, settings: RedisSettings, server: InterfaceDispatcher, facts: Mapping[str, Any]
    ) -> None:
        """facts: of its process, for its lease."""
        self.name = "worker.5117e5117e51"
        self._redis = redis
        self._server = server
        self._inbox = f"{settings.prefix}inbox:{self.name}"
        self._prefix = settings.prefix
        redis.set(f"{settings.prefix}node:{self.name}", pack({"role": "worker", **facts}), px=60_000)
        redis.xadd(self._inbox, {"b": join_batch(batch_head("interface.0"), [pack(packets.cancel(0, 0, Cancel.LEFT))])})
        self.say(packets.invite(8, 0))

    def say(self, packet: packets.Packet) -> None:
        """Send one packet to the interface server."""
        batch = join_batch(batch_head(self.name), [pack(packet)])
        self._redis.xadd(f"{self._prefix}inbox:{self._server.name}", {"b": batch})

    def heard(self) -> list[list[Any]]:
        """All packets in its inbox."""
        entries = self._redis.xrange(self._inbox)
        return [packet for _, fields in entries for packet in unpack_batch(fields[b"b"])[1]]


@asynccontextmanager
async def beside_a_silent_worker(
    settings: RedisSettings, redis: Redis, facts: Mapping[str, Any] | None = None
) -> AsyncIterator[tuple[InterfaceDispatcher, SilentWorker]]:
    """An interface server that a worker and a silent one have invited. facts: of the silent one's process."""
    host = RecordedHost(play=respond)
    async with interface(settings) as server, worker(settings, host) as one:
        await invited(server, one)
        silent = SilentWorker(redis, settings, server, facts or {})
        await until(lambda: silent.name in server.direct.workers.by_name)
        yield server, silent


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


@asynccontextmanager
async def posts_to_a_silent_worker(
    settings: RedisSettings, redis: Redis, facts: Mapping[str, Any]
) -> AsyncIterator[tuple[InterfaceDispatcher, SilentWorker, Recorded]]:
    """One of two POSTs went to a worker that does not acknowledge it; it is the last of these, and the other is answered."""
    async with beside_a_silent_worker(settings, redis, facts) as (server, silent):
        clients = [knock(server, method="POST") for _ in range(2)]
        await until(lambda: sum(client.body == b"hello" for client in clients) == 1, "the other is answered")
        (unanswered,) = (client for client in clients if not client.events)
        assert unanswered.upstream.connection.owner == silent.name
        yield server, silent, unanswered


async def test_what_a_worker_has_not_begun_starts_elsewhere_when_its_process_has_died(
    redis_settings: RedisSettings, redis: Redis
) -> None:
    """P3, P6: a process that was seen to die begins with nothing any more."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        facts = {**local_process.identity(), "pid": process.pid, "born": local_process.born(process.pid)}
        try:
            async with posts_to_a_silent_worker(redis_settings, redis, facts) as (_, _, unanswered):
                process.kill()
                await until(lambda: unanswered.body == b"hello")
                assert unanswered.upstream.connection.epoch == 2
        finally:
            process.kill()


async def test_what_a_worker_may_begin_still_ends_when_its_lease_is_over(
    redis_settings: RedisSettings, redis: Redis
) -> None:
    """P3, P6: its process may only be slow, or unreachable."""
    async with posts_to_a_silent_worker(redis_settings, redis, {}) as (server, silent, unanswered):
        redis.delete(f"{redis_settings.prefix}node:{silent.name}")
        await server.node.check_peers()
        await until(lambda: unanswered.end_reason is EndReason.DIED)
