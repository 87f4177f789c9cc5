"""Both dispatchers in one process, over a real Redis: what is between a client's side and an application's."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from channel_layer.protocol import packets
from channel_layer.protocol.events import Event, payload_size_bytes
from channel_layer.protocol.packets import Close
from channel_layer.protocol.scope import Scope
from channel_layer.settings import RedisSettings
from interface_server.connections.dispatcher import Dispatcher as InterfaceDispatcher
from interface_server.connections.interfaces import EndReason
from interface_server.groups.interfaces import PushedMessage
from interface_server.settings import InterfaceSettings
from tests.support.facts import until
from worker.connections.dispatcher import Dispatcher as WorkerDispatcher
from worker.connections.interfaces import Downstream
from worker.connections.loop_lag import LoopLag
from worker.settings import WorkerSettings

#: What either side may say of a connection and the other cannot understand: kind, and what follows number and epoch.
MALFORMED_EITHER_WAY: dict[str, tuple[Any, ...]] = {
    "events that are no list": (packets.DATA, 1, 5),
    "an event that is no map": (packets.DATA, 1, ["x"]),
    "a sequence that is no number": (packets.DATA, "1", []),
    "a credit of nothing": (packets.CREDIT, None, 0),
    "a count that is no number": (packets.SYNC, "many", False),
}


@dataclass
class Recorded:
    """A client's side that writes down what it is told. `upstream` is set by whoever opens it."""

    events: list[Event] = field(default_factory=list)
    pushed: list[Event] = field(default_factory=list)
    end_reason: EndReason | None = None
    wanted_count: int = 0
    resumed: int = 0
    adoptions: int = 0
    undelivered: int = 0
    mid_message: bool = False
    last_worker: str = ""
    request: str = "GET /"
    takes: bool = True  #: False: a client that does not read; nothing counts as delivered
    upstream: Any = None

    def adopted(self) -> None:
        self.adoptions += 1

    def deliver(self, events: Sequence[Event], size_bytes: int) -> None:
        self.events.extend(events)
        if not self.takes:
            self.undelivered += size_bytes
            return
        self.upstream.delivered(size_bytes)
        if events and events[-1]["type"] == "http.response.body" and not events[-1]["more_body"]:
            self.upstream.complete()

    def push(self, pushed: PushedMessage) -> None:
        self.pushed.append(pushed.event)

    def end(self, end_reason: EndReason) -> None:
        self.end_reason = end_reason

    def resume(self) -> None:
        self.resumed += 1

    def on_body_requested(self) -> None:
        self.wanted_count += 1

    @property
    def body(self) -> bytes:
        return b"".join(event.get("body", b"") for event in self.events)


@dataclass
class RecordedInstance:
    """An application instance that a test plays by hand."""

    scope: Event
    body: bytes
    more_body: bool
    downstream: Downstream
    fed: list[Event] = field(default_factory=list)
    resumed: int = 0
    disconnects: list[tuple[int, str]] = field(default_factory=list)

    def deliver(self, event: Event, size_bytes: int) -> None:
        assert size_bytes == payload_size_bytes(event)
        self.fed.append(event)

    def resume(self) -> None:
        self.resumed += 1

    def disconnect(self, code: int, reason: str) -> None:
        self.disconnects.append((code, reason))

    @property
    def kind(self) -> str:
        return str(self.scope["type"])

    @property
    def request(self) -> str:
        return "" if self.kind == "websocket" else f"{self.scope['method']} {self.scope['path']}"

    def hand_off(self) -> bool:
        return False

    def end_event_stream(self) -> bool:
        return False

    def send(self, event: Event) -> None:
        self.downstream.send(event, payload_size_bytes(event))


class RecordedHost:
    """A host in which each adopted connection becomes a RecordedInstance; `play` may act on it at once."""

    def __init__(self, slots: int = 1000, play: Callable[[RecordedInstance], None] | None = None) -> None:
        self.slots = slots
        self.slots_with_peers: int | None = None  #: instead, where other workers could take what this one leaves
        self.instances: list[RecordedInstance] = []
        self.play = play

    @property
    def websocket_count(self) -> int:
        return sum(instance.scope["type"] == "websocket" for instance in self.instances)

    @property
    def stream_count(self) -> int:
        return 0

    def free(self, kind: str, alone: bool = False) -> int:
        return self.slots if alone or self.slots_with_peers is None else self.slots_with_peers

    def taken(self) -> dict[str, bool]:
        return {}

    def start(self, scope: Event, body: bytes, more_body: bool, downstream: Downstream) -> RecordedInstance:
        instance = RecordedInstance(scope, body, more_body, downstream)
        self.instances.append(instance)
        if self.play is not None:
            self.play(instance)
        return instance


def scope_of(kind: str = "http", method: str = "GET") -> Event:
    """A scope as the interface server makes it."""
    scope: Event = {
        "type": kind, "http_version": "1.1", "scheme": "http", "path": "/", "raw_path": b"/", "query_string": b"",
        "root_path": "", "headers": [[b"host", b"example"]], "client": ["127.0.0.1", 1], "server": ["127.0.0.1", 2],
    }  # fmt: skip
    if kind == "http":
        scope["method"] = method
    else:
        scope["subprotocols"] = []
    return scope


def knock(
    dispatcher: InterfaceDispatcher,
    kind: str = "http",
    method: str = "GET",
    body: bytes = b"",
    more: bool = False,
    *,
    differs: Mapping[str, Any] | None = None,
    previous: str = "",
    **kw: Any,
) -> Recorded:
    """Open a connection and return its client's side.

    differs: what its scope has instead of the usual. previous: the worker of the client's last request.
    """
    client = Recorded(last_worker=previous)
    scope = {**scope_of(kind, method), **(differs or {})}
    client.upstream = dispatcher.open(client, Scope(scope), body, more, **kw)
    return client


@contextlib.asynccontextmanager
async def interface(redis_settings: RedisSettings, **settings: Any) -> AsyncIterator[InterfaceDispatcher]:
    dispatcher = InterfaceDispatcher(InterfaceSettings(redis=redis_settings, **settings), Counter())
    await dispatcher.start()
    try:
        yield dispatcher
    finally:
        await dispatcher.close()


def recall_nothing(server: InterfaceDispatcher) -> None:
    """Let workers have all the time to acknowledge what they are sent directly: for tests that count what each of several gets."""
    server.direct._timer = asyncio.get_running_loop().call_later(3_600, lambda: None)


@contextlib.asynccontextmanager
async def worker(
    redis_settings: RedisSettings, host: RecordedHost, *, notices_blocks: bool = False, **settings: Any
) -> AsyncIterator[WorkerDispatcher]:
    """It leaves as after a drain, with nothing in hand: whoever is told something after it has gone waits for that in vain.

    notices_blocks: it measures how late its event loop is. That is the loop of the whole test, and a pause of the machine would count as
    one of the application, after which a worker invites nobody for a while.
    """
    dispatcher = WorkerDispatcher(WorkerSettings(redis=redis_settings, **settings), host, Counter())
    await dispatcher.start()
    if not notices_blocks:
        measure_no_more(dispatcher.consumer.lag)
    try:
        yield dispatcher
    finally:
        await dispatcher.stop_taking()
        await until(lambda: not dispatcher.taking_count, "every take is answered")
        for downstream in dispatcher.downstreams:
            downstream.close(Close.STOPPING)
        await dispatcher.close()


def measure_no_more(lag: LoopLag) -> None:
    """Let the loop seem to be in time from now on."""
    assert lag._handle is not None
    lag._handle.cancel()
    lag._due, lag._on_blocked = math.inf, None


async def adopted(host: RecordedHost, count: int = 1) -> RecordedInstance:
    """The newest instance, once there are `count`."""
    await until(lambda: len(host.instances) >= count, f"{count} adopted")
    return host.instances[-1]


def respond(instance: RecordedInstance) -> None:
    """A whole small response."""
    instance.send({"type": "http.response.start", "status": 200, "headers": []})
    instance.send({"type": "http.response.body", "body": b"hello", "more_body": False})
    instance.downstream.complete()


async def invited(server: InterfaceDispatcher, *workers: WorkerDispatcher) -> None:
    """Returns when each of the workers has invited this interface server, of which they know by its lease."""
    for each in workers:
        await each.node.check_peers()
        each.direct.update()
    by_name = server.direct.workers.by_name
    await until(lambda: all(each.node.name in by_name and by_name[each.node.name].takes_more for each in workers))
