"""An exchange knows no version of HTTP: here it writes to a sink that is no connection of HTTP/1."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest

from channel_layer.protocol.events import Event
from interface_server.access_log.access_log import AccessLog
from interface_server.connections.interfaces import EndReason
from interface_server.groups.interfaces import PushedMessage
from interface_server.http.answers import RequestError
from interface_server.http.exchange import Exchange
from interface_server.http.response import Response
from interface_server.http.scope import ScopeBuilder
from interface_server.http.server_context import ServerContext
from interface_server.http1.head import check_head
from interface_server.settings import InterfaceSettings
from tests.support.facts import until
from tests.support.in_process_server import App, Ended, InProcessServer, Receive, Send

START: Event = {"type": "http.response.start", "status": 201, "headers": [(b"x-a", b"1")]}


class StreamOfFrames:
    """A `ResponseSink` and `RequestSource` that keeps what an HTTP/2 stream would send as frames."""

    def __init__(self) -> None:
        self.frames: list[tuple[object, ...]] = []
        self.reading_paused = False
        self.access_log = AccessLog(False, ())

    def send_remembered(self, events: Sequence[Event]) -> bool:
        return False

    def headers(self, response: Response) -> None:
        self.frames.append(("headers", response.status))

    def data(self, body: bytes, last: bool) -> None:
        self.frames.append(("data", body, last))

    def flush(self, size_bytes: int) -> bool:
        return True

    def send_continue(self) -> None:
        self.frames.append(("headers", 100))

    def end(self, keep_alive: bool) -> None:
        self.frames.append(("end",))

    def abort(self) -> None:
        self.frames.append(("reset",))

    def push(self, pushed: PushedMessage) -> None:
        self.frames.append(("data", pushed.event["body"], False))

    def expect_response(self, within_s: float) -> None: ...

    def pause_reading(self) -> None:
        self.reading_paused = True

    def resume_reading(self) -> None:
        self.reading_paused = False

    def rejected_request(self) -> tuple[tuple[str, int] | None, bytes, bytes]:
        return None, b"", b""


def exchange_with(app: App, **settings: object) -> tuple[Exchange, StreamOfFrames, ServerContext]:
    values = InterfaceSettings(access_log=False, **settings)  # type: ignore[arg-type]
    context = ServerContext.of(values, InProcessServer(app), asyncio.get_running_loop(), Counter())
    sink = StreamOfFrames()
    return Exchange(context, sink, sink), sink, context


def begin(exchange: Exchange, method: bytes = b"POST", fields: Sequence[tuple[bytes, bytes]] = ()) -> None:
    fields = [(b"host", b"a"), *fields]
    head = check_head(method, b"/", "1.1", fields)
    exchange.begin(head, ScopeBuilder(("127.0.0.1", 1), ("127.0.0.1", 2)).scope(head, fields))


async def test_a_body_goes_in_and_a_response_comes_out_whatever_carries_them():
    """P1. Part by part in both directions, and the next request may follow."""

    async def echo(scope: Event, receive: Receive, send: Send) -> None:
        await send(START)
        more = True
        while more:
            event = await receive()
            more = event["more_body"]
            await send({"type": "http.response.body", "body": event["body"], "more_body": more})

    exchange, sink, context = exchange_with(echo)
    for _ in range(2):
        sink.frames.clear()
        begin(exchange, fields=[(b"transfer-encoding", b"chunked")])
        exchange.forward(b"one", more=True)
        await until(lambda: ("data", b"one", False) in sink.frames)
        exchange.forward(b"two", more=False)
        await until(lambda: sink.frames[-1] == ("end",))
        assert sink.frames == [("headers", 201), ("data", b"one", False), ("data", b"two", True), ("end",)]
    assert context.under_way == 0


async def test_the_limits_and_the_expectation_are_those_of_every_version():
    """Health, a concurrency limit, `100 Continue` when the application asks, and a refused body."""

    async def read(scope: Event, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    exchange, sink, context = exchange_with(read, limit_concurrency=1)
    begin(exchange, fields=[(b"expect", b"100-continue"), (b"content-length", b"3")])
    exchange.forward(b"", more=True)
    await until(lambda: sink.frames == [("headers", 100)])
    other = Exchange(context, second := StreamOfFrames(), second)
    begin(other)
    other.forward(b"", more=False)
    assert [frame[:2] for frame in second.frames if frame[0] != "data"] == [("headers", 503), ("end",)]
    exchange.refuse(RequestError(413, "the request body is too large", "body_too_large"))
    assert ("headers", 413) in sink.frames and sink.frames[-1] == ("end",)
    assert context.counters["refused.body_too_large"] == context.counters["refused.limit_concurrency"] == 1
    assert context.under_way == 0


async def test_a_packet_without_events_starts_no_response():
    """P12. No worker of ours sends one."""

    async def fail(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        raise Ended(EndReason.DIED)

    exchange, sink, _ = exchange_with(fail)
    begin(exchange, b"GET")
    exchange.forward(b"", more=False)
    exchange.deliver([], 0)
    await until(lambda: sink.frames[-1:] == [("end",)])
    assert sink.frames[0] == ("headers", EndReason.DIED.status)


@pytest.mark.parametrize("started", [False, True])
async def test_an_exchange_that_fails_never_looks_complete(started: bool):
    """P6. Before the response begins the client gets a status, afterwards a reset."""

    async def fail(scope: Event, receive: Receive, send: Send) -> None:
        if started:
            await send(START)
        raise Ended(EndReason.DIED)

    exchange, sink, context = exchange_with(fail)
    begin(exchange, b"GET")
    exchange.forward(b"", more=False)
    await until(lambda: bool(sink.frames) and sink.frames[-1][0] in ("end", "reset"))
    assert [frame[:2] for frame in sink.frames if frame[0] != "data"] == (
        [("headers", 201), ("reset",)] if started else [("headers", EndReason.DIED.status), ("end",)]
    )
    assert (context.counters["ended.died"], context.under_way) == (1, 0)
