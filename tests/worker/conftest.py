"""An application host without Redis: applications run for real, and a small `Downstream` keeps what they sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
import pytest_asyncio

from worker.application.loader import LoadedApplication, find_interface
from worker.asgi.host import AsgiHost, ignore
from worker.connections.interfaces import Close
from worker.settings import WorkerSettings

DEADLINE_S = 10.0


class RecordingDownstream:
    """Keeps everything, in order. `changed` is set by each call, so that a test can wait for a fact."""

    def __init__(self, reply_channel: str = "interface.x1!7") -> None:
        self.reply_channel = reply_channel
        self.has_credit = True
        self.key = ("interface.x1", 7, 1)
        self.resume: dict[str, Any] | None = None
        self.resumable = False
        self.events: list[dict[str, Any]] = []
        self.sizes: list[int] = []
        self.consumed_bytes: list[int] = []
        self.wanted_calls = 0
        self.last_words: list[Close | str] = []
        self.changed = asyncio.Event()

    def waits_for_credit(self) -> None:
        self.changed.set()

    def send(self, event: dict[str, Any], size_bytes: int) -> bool:
        self.events.append(event)
        self.sizes.append(size_bytes)
        self.changed.set()
        return self.has_credit

    def hand_off(self) -> None:
        self.last_words.append("hand off")
        self.changed.set()

    def consumed(self, size_bytes: int) -> None:
        self.consumed_bytes.append(size_bytes)
        self.changed.set()

    def request_body(self) -> None:
        self.wanted_calls += 1
        self.changed.set()

    def close(self, why: Close) -> None:
        self.last_words.append(why)
        self.changed.set()

    def complete(self) -> None:
        self.last_words.append("complete")
        self.changed.set()

    async def until(self, fact: Callable[[RecordingDownstream], Any]) -> Any:
        """Wait until `fact` of this line is true."""
        async with asyncio.timeout(DEADLINE_S):
            while not (found := fact(self)):
                self.changed.clear()
                await self.changed.wait()
            return found

    async def over(self) -> list[Close | str]:
        """Wait for the last word."""
        await self.until(lambda downstream: downstream.last_words)
        return self.last_words

    @property
    def status(self) -> int | None:
        return next((event["status"] for event in self.events if "status" in event), None)

    @property
    def body(self) -> bytes:
        return b"".join(event["body"] for event in self.events if "body" in event)


class Saying:
    """An application that says `events`, one after the other, and keeps what the last of them raised."""

    def __init__(self, events: Sequence[Any]) -> None:
        self.events = events
        self.raised: Exception | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        *before, last = self.events
        for event in before:
            await send(event)
        try:
            await send(last)
        except (ValueError, RuntimeError) as caught:
            self.raised = caught


class Hosts:
    """Opens hosts for applications, and closes all of them at the end of the test."""

    def __init__(self) -> None:
        self.opened: list[AsgiHost] = []

    async def open(self, application: Any, *, on_capacity: Callable[[], object] = ignore, **settings: Any) -> AsgiHost:
        interface = settings.pop("interface", None) or find_interface(application, "the test's application")
        settings = {"lifespan": "off", "lifespan_timeout_s": 5.0} | settings
        loaded = LoadedApplication(application, interface, "test:application")
        host = AsgiHost(loaded, WorkerSettings(**settings), on_capacity)
        self.opened.append(host)
        await host.startup()
        return host


@pytest_asyncio.fixture
async def hosts() -> AsyncIterator[Hosts]:
    opened = Hosts()
    yield opened
    for host in opened.opened:
        await host.shutdown()


@pytest.fixture
def saying() -> Callable[[Sequence[Any]], Saying]:
    return Saying


@pytest.fixture
def new_downstream() -> Callable[[], RecordingDownstream]:
    return RecordingDownstream


@pytest.fixture
def http_scope() -> Callable[..., dict[str, Any]]:
    """A scope as it comes from an interface server, read."""

    def make(method: str = "GET", path: str = "/", headers: list[Any] | None = None, **more: Any) -> dict[str, Any]:
        return {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": headers or [(b"host", b"example.org")],
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 8000),
        } | more

    return make


@pytest.fixture
def websocket_scope() -> Callable[..., dict[str, Any]]:
    def make(path: str = "/ws", **more: Any) -> dict[str, Any]:
        return {
            "type": "websocket",
            "http_version": "1.1",
            "scheme": "ws",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"example.org")],
            "client": None,
            "server": ("127.0.0.1", 8000),
            "subprotocols": ["chat"],
        } | more

    return make


async def settle(host: AsgiHost) -> None:
    """Wait until every application instance has ended."""
    async with asyncio.timeout(DEADLINE_S):
        while host.running_count:
            await asyncio.sleep(0)
