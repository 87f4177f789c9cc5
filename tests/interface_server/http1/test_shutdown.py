"""A leaving interface server ends what would go on for ever: event streams, and nothing that would be missed."""

from __future__ import annotations

import pytest

from interface_server.settings import InterfaceSettings
from tests.support.in_process_server import Served, served

QUIET = InterfaceSettings(access_log=False)
ACCEPT = b"Accept: text/event-stream\r\n"
EVENT = b"data: one\n\n"


async def stream(scope, receive, send):
    """One event of a stream, and then nothing more until the client has left."""
    fields = [(b"content-type", b"text/event-stream")]
    if scope["path"] == "/counted":
        fields.append((b"content-length", b"100"))
    if scope["path"] != "/mute":
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": EVENT, "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        pass


def end_streams(server: Served) -> None:
    for connection in server.factory.http1.event_streams():
        connection.end_for_shutdown()


@pytest.mark.parametrize(
    ("version", "last"), [(b"1.1", b"b\r\ndata: one\n\n\r\n0\r\n\r\n"), (b"1.0", b"\r\n\r\ndata: one\n\n")]
)
async def test_an_event_stream_ends_as_if_it_were_whole(version: bytes, last: bytes) -> None:
    """P7. The last chunk, or for HTTP/1.0 the orderly end of the connection; its application hears that it is over."""
    async with served(stream, QUIET) as server:
        client = await server.connect()
        client.write(b"GET / HTTP/%b\r\nHost: x\r\n%b\r\n" % (version, ACCEPT))
        head = await client.until(EVENT)
        end_streams(server)
        assert (head + await client.rest()).endswith(last)
        line = await server.backend.next()
        await line.gone()
        assert line.left == [(1006, "")]
        assert server.context.counters["ended.event_stream"] == 1
        client.close()


@pytest.mark.parametrize(
    "request_head",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n" + ACCEPT + b"\r\n",
        b"GET /counted HTTP/1.1\r\nHost: x\r\n" + ACCEPT + b"\r\n",
        b"GET /mute HTTP/1.1\r\nHost: x\r\n" + ACCEPT + b"\r\n",
    ],
    ids=["not asked for", "by POST", "of a declared length", "not begun"],
)
async def test_whoever_would_take_it_for_the_end_is_not_ended(request_head: bytes) -> None:
    """P7. Such an exchange has its time, and is cut visibly when that is over."""
    async with served(stream, QUIET) as server:
        client = await server.connect()
        client.write(request_head)
        line = await server.backend.next()
        if b"/mute" not in request_head:
            await client.until(EVENT)
        assert server.factory.http1.event_streams() == []
        for connection in server.factory.http1.connections:
            connection.exchange.end_for_shutdown()
        assert not line.over()
        client.reset()
        await line.gone()
