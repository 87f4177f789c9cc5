"""Messages of groups and third parties in a running event stream, over real sockets. P1, P5, P10."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from channel_layer.protocol.events import Event
from interface_server.groups.interfaces import PushedMessage
from interface_server.settings import InterfaceSettings
from tests.support.facts import until
from tests.support.in_process_server import Client1, Downstream, Receive, Send, Served, served

SETTINGS = InterfaceSettings(access_log=False)
STREAM: Event = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"Content-Type", b"text/event-stream; charset=utf-8")],
}


async def stream(scope: Event, receive: Receive, send: Send) -> None:
    """An event stream that greets, and then leaves everything to others; at another path another response without an end."""
    fields = {
        "/json": [(b"content-type", b"application/json")],
        "/length": [*STREAM["headers"], (b"content-length", b"1000")],
        "/gzip": [*STREAM["headers"], (b"content-encoding", b"gzip")],
    }
    await send({**STREAM, "headers": fields.get(scope["path"], STREAM["headers"])})
    await send({"type": "http.response.body", "body": b"data: hello\n\n", "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        pass


def pushed(data: bytes, more: bool = True) -> PushedMessage:
    return PushedMessage({"type": "http.response.body", "body": data, "more_body": more}, "news")


def head(path: str = "/", method: str = "GET", version: str = "1.1") -> bytes:
    return f"{method} {path} HTTP/{version}\r\nHost: a\r\n\r\n".encode()


async def listener(server: Served, **request: Any) -> tuple[Client1, Downstream]:
    """A client that has read the greeting of its event stream."""
    client = await server.connect()
    client.write(head(**request))
    line = await server.backend.next()
    await client.until(b"data: hello\n\n")
    return client, line


def push(line: Downstream, message: PushedMessage) -> None:
    client: Any = line.client
    client.push(message)


async def test_an_event_is_built_once_and_written_to_all() -> None:
    """P10. As a chunk, between those of the application; and a client of HTTP/1.0 gets the bare bytes."""
    async with served(stream, SETTINGS) as server:
        listeners = [await listener(server) for _ in range(3)]
        old, old_line = await listener(server, version="1.0")
        message = pushed(b"data: news\n\n")
        for _, line in (*listeners, (old, old_line)):
            assert line.took_events == 1
            push(line, message)
        assert message.chunk == b"c\r\ndata: news\n\n\r\n"
        for client, _ in listeners:
            assert await client.until(b"data: news\n\n\r\n") == b"\r\n" + message.chunk
        assert await old.until(b"news\n\n") == b"data: news\n\n"


async def test_an_empty_event_does_not_end_the_stream() -> None:
    """A chunk of no bytes would."""
    async with served(stream, SETTINGS) as server:
        client, line = await listener(server)
        push(line, pushed(b""))
        push(line, pushed(b"data: next\n\n"))
        assert await client.until(b"next\n\n") == b"\r\nc\r\ndata: next\n\n"


async def test_the_last_part_ends_the_response_and_its_instance_and_the_connection_serves_the_next() -> None:
    """P1, P2. The instance gets its disconnect; the client a response that is whole."""
    async with served(stream, SETTINGS) as server:
        client, line = await listener(server)
        push(line, pushed(b"data: bye\n\n", more=False))
        assert await client.until(b"0\r\n\r\n") == b"\r\nb\r\ndata: bye\n\n\r\n0\r\n\r\n"
        assert line.left == [(1006, "")] and not line.completed
        client.write(head())
        following = await server.backend.next()
        await client.until(b"data: hello\n\n")
        push(following, pushed(b"data: more\n\n"))
        assert await client.until(b"more\n\n") == b"\r\nc\r\ndata: more\n\n"


async def test_a_pipelined_request_is_answered_behind_a_stream_that_others_end() -> None:
    """P1. Nothing of the one gets into the other."""
    async with served(stream, SETTINGS) as server:
        client = await server.connect()
        client.write(head() + head("/json"))
        line = await server.backend.next()
        await client.until(b"data: hello\n\n")
        push(line, pushed(b"", more=False))
        following = await server.backend.next()
        answer = await client.until(b"data: hello\n\n")
        assert answer.startswith(b"\r\n0\r\n\r\nHTTP/1.1 200") and b"application/json" in answer
        assert not following.left and not following.took_events


@pytest.mark.parametrize("request_line", [{"path": "/json"}, {"path": "/length"}, {"path": "/gzip"}])
async def test_into_any_other_response_nobody_else_may_write(request_line: dict[str, str]) -> None:
    """P12. Its bytes belong together."""
    async with served(stream, SETTINGS) as server:
        _, line = await listener(server, **request_line)
        assert not line.took_events
    async with served(stream, SETTINGS) as server:
        client = await server.connect()
        client.write(head(method="HEAD"))
        line = await server.backend.next()
        await client.until(b"\r\n\r\n")
        assert not line.took_events


async def test_a_message_of_a_websocket_is_not_written_into_an_event_stream() -> None:
    """P12. A group may have members of both kinds; what is for the others is dropped and counted."""
    async with served(stream, SETTINGS) as server:
        client, line = await listener(server)
        push(line, PushedMessage({"type": "websocket.send", "text": "x"}))
        push(line, pushed(b"data: mine\n\n"))
        assert await client.until(b"mine\n\n") == b"\r\nc\r\ndata: mine\n\n"
        assert server.context.counters["dropped.push_to_http"] == 1


@pytest.mark.parametrize("limit", [{"ws_push_bytes_max": 2**20}, {"ws_push_timeout_s": 0.1}])
async def test_a_client_that_does_not_take_what_groups_send_is_cut_off(
    limit: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """P5. Counted, and logged with its name; by the same limits as a WebSocket."""
    async with served(stream, replace(SETTINGS, **limit)) as server:
        client, line = await listener(server)
        assert client.reader is not None, "it is there, and does not read"
        message = pushed(bytes(100_000))
        for _ in range(120):
            if not line.left:
                push(line, message)
            await asyncio.sleep(0)
        await line.gone()
        assert line.left == [(1006, "")]
        assert server.context.counters["aborted.slow"] == 1
        assert caplog.text.count("test!0 does not take what it is sent (slow)") == 1
        await until(lambda: server.context.under_way == 0, "it is cut off")
        assert not len(server.context.slow)


@pytest.mark.parametrize(("count", "size"), [(100, 100_000), (3_000, 1_000)])
async def test_a_burst_in_one_turn_is_no_slowness(count: int, size: int) -> None:
    """P5. A client that reads gets all of it, however much came before it could."""
    async with served(stream, SETTINGS) as server:
        client, line = await listener(server)
        message = pushed(b"x" * size)
        for _ in range(count):
            push(line, message)
        assert message.chunk is not None
        assert await client.exactly(2 + count * len(message.chunk)) == b"\r\n" + count * message.chunk
        assert not line.left and server.context.counters["aborted.slow"] == 0
        await until(lambda: not len(server.context.slow), "it has caught up")
