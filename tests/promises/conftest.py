"""The promises of PROTOCOL.md on real processes: one file each, and an application that leaves traces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.serving import Server, redis_server, redis_url

PROJECT = Path(__file__).parent / "project"

#: The variables of a deployment without and with encryption: what holds for the one holds for the other.
WITHOUT_AND_WITH_KEYS = pytest.mark.parametrize(
    "keys", [{}, {"TOWPATH_ENCRYPTION_KEYS": "K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72"}], ids=["plain", "encrypted"]
)


class Traces:
    """What the witness wrote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    @property
    def env(self) -> dict[str, str]:
        return {"TRACES": str(self.folder)}

    def lines(self, name: str) -> list[str]:
        """The lines of one trace, oldest first."""
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def starts(self, method: str) -> list[str]:
        """The paths for which the application was started with this method."""
        return [line.split()[2] for line in self.lines("starts") if line.split()[1:2] == [method]]


@pytest.fixture
def traces(tmp_path: Path) -> Traces:
    return Traces(tmp_path / "traces")


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Server]:
    """A server of the Redis protocol for processes that are started one by one."""
    with redis_server(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def url(redis: Server) -> str:
    return redis_url(redis)
