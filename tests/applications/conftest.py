"""Every application is served by `towpath serve` as a user would, and by uvicorn as the control: the same assertions."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import httpx
import pytest

from tests.support.plain_http import PLAIN
from tests.support.serving import Server

CLIENT_TIMEOUT_S = 20.0


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """A client of the server under test, with a cookie jar of its own; no proxy of this machine comes between."""
    with httpx.Client(base_url=server.url, timeout=CLIENT_TIMEOUT_S, **PLAIN) as client:
        yield client


@pytest.fixture
def other(server: Server) -> Iterator[httpx.Client]:
    """A second client, who rings and hears bells while the first one is busy."""
    with httpx.Client(base_url=server.url, timeout=CLIENT_TIMEOUT_S, **PLAIN) as client:
        yield client


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Function) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure shows what the server had to say about it."""
    report = yield
    server = getattr(item, "funcargs", {}).get("server")
    if report.failed and isinstance(server, Server):
        report.sections.append((f"log of {server.kind}", server.log[-8000:]))
    return report
