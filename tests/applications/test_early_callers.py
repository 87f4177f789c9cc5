"""A worker's channel layer is there from the import of the application on, and says in one sentence from when it can be used."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

import channel_layer
from tests.applications.served import PROJECTS
from tests.support.facts import until
from tests.support.redis_server import RedisServer
from tests.support.serving import Server, towpath_worker

DEADLINE_S = 20.0
SENTENCE = "a worker's channel layer can be used when its application has started"


@pytest.fixture
def worker(redis_server: RedisServer, prefix: str, tmp_path: Path) -> Iterator[Server]:
    options = ["--prefix", prefix, "--channel", "work"]
    with towpath_worker(
        "early_callers:application", redis_server.url, run_dir=tmp_path, options=options, cwd=PROJECTS,
        ready=lambda server: "are received" in server.log,
    ) as server:  # fmt: skip
        yield server
    redis_server.client().flushall()


async def test_a_layer_that_was_found_at_import_serves_from_the_end_of_the_startup_to_that_of_the_shutdown(
    worker: Server, redis_server: RedisServer, prefix: str
) -> None:
    for when in ("imported", "startup"):
        assert worker.log.count(f"{when}: {SENTENCE}: not yet while it is imported") == 4, worker.log
    async with await channel_layer.connect(redis_server.url, prefix=prefix) as layer:
        mine = await layer.new_channel()
        for _ in range(2):
            await layer.send("work", {"type": "test", "reply": mine})
            assert await asyncio.wait_for(layer.receive(mine), DEADLINE_S) == {"type": "done", "own": True}
        worker.process.terminate()
        ended = await asyncio.wait_for(layer.receive("ended"), DEADLINE_S)
        assert all(name.partition(".")[0] in ("dropped", "groups", "lease", "packets") for name in ended["counters"])
        await until(lambda: worker.process.poll() == 0, "the worker has ended", DEADLINE_S)
