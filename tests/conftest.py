"""What all tests share: a real server of the Redis protocol, and a prefix of one's own on it."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from channel_layer.settings import RedisSettings
from tests.support.redis_server import RedisServer

pytest_plugins = ("tests.support.collected_once", "tests.support.no_skips_in_ci", "tests.support.time_limit")

HERE = Path(__file__).parent
#: What has the longest files is begun first: several files run at a time, and the last one should be a short one. The simulation
#: computes all the while, beside others that wait.
FIRST = ("simulation", "towpath", "deploy", "promises", "chaos", "benchmarks")

_prefixes = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order of the folders; within each nothing changes."""
    rank = {folder: index for index, folder in enumerate(FIRST)}
    items.sort(key=lambda item: rank.get(item.path.relative_to(HERE).parts[0], len(rank)))


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One server for all tests that do not harm it; each test has a prefix of its own."""
    server = RedisServer().start()
    yield server
    server.remove()


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A server that a test may stop, pause and empty."""
    server = RedisServer().start()
    yield server
    server.remove()


@pytest.fixture
def prefix() -> str:
    """Keys of this test alone."""
    return f"test{next(_prefixes)}:"


@pytest.fixture
def redis_settings(redis_server: RedisServer, prefix: str) -> RedisSettings:
    """Settings for the shared server."""
    return RedisSettings(url=redis_server.url, prefix=prefix)


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose path leaves room for the name of a unix socket, of which Linux takes 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="towpath-") as folder:
        yield Path(folder)
