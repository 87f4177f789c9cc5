"""P3, P12. Clients that leave: at each byte of what they say, by a reset, an end, or half of one."""

from __future__ import annotations

import pytest

from channel_layer.events import Event
from interface_server.settings import InterfaceSettings
from tests.facts import until
from tests.interface_server.in_process_door import Client1, Receive, Send, served
from tests.interface_server.test_http1_probes import CHUNKED, get, hello, post
from tests.interface_server.websocket_door import client_frame, upgrade_request

SETTINGS = InterfaceSettings(access_log=False)

REQUESTS = {
    "a request": get(b"Host: a"),
    "a body": post(b"Content-Length: 3", body=b"abc"),
    "chunks": post(CHUNKED, body=b"3\r\nabc\r\n0\r\nX: y\r\n\r\n"),
    "an expectation": post(b"Expect: 100-continue", b"Content-Length: 3", body=b"abc"),
    "an upgrade with a body": post(b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Length: 3", body=b"abc"),
    "one behind another": get(b"Host: a") + post(b"Content-Length: 1", body=b"a") + get(b"Host: a"),
    "a WebSocket": upgrade_request(behind=client_frame(1, b"hello", fin=False) + client_frame(8, b"\x03\xe8")),
}

WAYS = {"reset": Client1.reset, "end": Client1.close, "half": lambda client: client.writer.write_eof()}


async def answering(scope: Event, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await hello(scope, receive, send)
        return
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "http.disconnect":
        pass


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("request_bytes", REQUESTS.values(), ids=REQUESTS)
async def test_whoever_leaves_at_whichever_byte_leaves_nothing_behind(request_bytes: bytes, way) -> None:
    """P12. Neither a connection nor an exchange that is counted, and no complaint; the next one is served."""
    async with served(answering, SETTINGS) as server:
        for said in range(0, len(request_bytes) + 1, 3):
            client = await server.connect()
            client.write(request_bytes[:said])
            if said % 2:
                await until(lambda: server.factory.connections or server.context.under_way)
            way(client)
            await client.reader.read() if way is not Client1.reset else None
            client.close()
        await until(lambda: not server.factory.connections and not server.context.under_way)
        assert all(line.over() for line in server.door.lines)
        assert (await server.ask(get(b"Host: a", b"Connection: close"))).startswith(b"HTTP/1.1 200 ")


async def test_a_client_that_closes_only_half_is_one_that_left() -> None:
    """P3. It cannot be told from one that has gone, which nothing shall be started for."""

    async def waiting(scope: Event, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async with served(waiting, SETTINGS) as server:
        client = await server.connect()
        client.write(get(b"Host: a"))
        line = await server.door.next()
        client.writer.write_eof()
        assert await client.rest() == b""
        await line.gone()
        assert line.left == [(1006, "")]
