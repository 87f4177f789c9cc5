"""What the tests of rollouts share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.redis_server import RedisServer
from tests.towpath.rollout.asking import Asked, Asking
from towpath.runtime.run_dir import RunDir
from towpath.status.lease_reader import LeaseReader


@pytest.fixture
def asking(tmp_path: Path, redis_server: RedisServer, prefix: str) -> Iterator[Asking]:
    """Makes an `Asked` that checks the application with the given command."""
    folder = RunDir.acquire(tmp_path / "run")
    status = LeaseReader(redis_server.url, prefix)
    yield lambda check_command: Asked(folder, status, check_command)
    status.close()
    folder.release()
