"""A process of this machine that dies is certainly dead, also where the news of another process comes before this one has seen it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from redis import Redis

from channel_layer.process import local_process
from channel_layer.settings import RedisSettings
from tests.integration.test_silent_workers import posts_to_a_silent_worker
from tests.support.facts import until
from tests.support.redis_server import RedisServer


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[Redis]:
    with Redis(unix_socket_path=str(redis_server.socket)) as client:
        yield client


async def test_what_a_dead_worker_had_not_begun_starts_elsewhere_though_its_death_was_told_before_it_was_seen(
    redis_settings: RedisSettings, redis: Redis
) -> None:
    """P3, P6: an interface server on its machine knows that it begins with nothing any more."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        facts = {**local_process.identity(), "pid": process.pid, "born": local_process.born(process.pid)}
        try:
            async with posts_to_a_silent_worker(redis_settings, redis, facts) as (server, silent, unanswered):
                await until(lambda: silent.name in server.node._peers._deaths.watched())
                process.kill()
                process.wait()  # the loop does not turn meanwhile, so that it has not seen that
                server.node._on_news("dead", silent.name)
                await until(lambda: unanswered.body == b"hello" or unanswered.end_reason is not None)
                assert unanswered.end_reason is None and unanswered.upstream.connection.epoch == 2
        finally:
            process.kill()
