"""P3, P12. Clients that leave: at each byte of what they say, by a reset, an end, or half of one."""

from __future__ import annotations

import asyncio

import pytest

from channel_layer.protocol.events import Event
from interface_server.settings import InterfaceSettings
from tests.interface_server.http1.test_probes import CHUNKED, get, hello, post
from tests.support.facts import until
from tests.support.in_process_server import Client1, Receive, Send, served
from tests.support.websocket_server import client_frame, upgrade_request

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
                await until(lambda: server.factory.http1.connections or server.context.under_way)
            way(client)
            await client.reader.read() if way is not Client1.reset else None
            client.close()
        await until(lambda: not server.factory.http1.connections and not server.context.under_way)
        assert all(line.over() for line in server.backend.lines)
        assert (await server.ask(get(b"Host: a", b"Connection: close"))).startswith(b"HTTP/1.1 200 ")


async def waiting(scope: Event, receive: Receive, send: Send) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


HALF_CLOSED_REQUESTS = {
    "a request": (get(b"Host: a"), 1),
    "one of HTTP/1.0": (b"GET / HTTP/1.0\r\n\r\n", 1),
    "one that wants to stay": (get(b"Host: a", b"Connection: keep-alive"), 1),
    "a body": (post(b"Content-Length: 3", body=b"abc"), 1),
    "chunks": (post(CHUNKED, body=b"3\r\nabc\r\n0\r\n\r\n"), 1),
    "three of them": (get(b"Host: a") * 3, 3),
    "a body of several windows": (post(b"Content-Length: 1000000", body=bytes(1_000_000)), 1),
}


@pytest.mark.parametrize(("request_bytes", "answers"), HALF_CLOSED_REQUESTS.values(), ids=HALF_CLOSED_REQUESTS)
async def test_a_client_that_closes_its_own_direction_gets_the_answers_to_its_requests(
    request_bytes: bytes, answers: int, tmp_path
) -> None:
    """P12. Then the connection is closed: nothing can come on it any more."""

    async def echo_when_nobody_reads(scope: Event, receive: Receive, send: Send) -> None:
        while (await receive())["more_body"]:
            pass
        await until(lambda: server.factory.http1.unread, "the client's end, or its next request, is known")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"here you are"})

    for uds in (None, str(tmp_path / "http.sock")):
        async with served(echo_when_nobody_reads, SETTINGS, uds=uds) as server:
            client = await server.connect()
            client.write(request_bytes)
            client.writer.write_eof()
            responses = await client.rest()
            assert responses.count(b"HTTP/1.1 200 ") == answers
            assert b"connection: close\r\n" in responses[responses.rindex(b"HTTP/1.1 ") :]
            assert [line.completed for line in server.backend.lines] == [1] * answers


async def test_what_is_no_whole_request_is_not_waited_for_once_its_client_has_closed_its_direction() -> None:
    """P12. Nothing can complete it."""
    async with served(waiting, SETTINGS) as server:
        for part in (b"", b"GET / HT", post(b"Content-Length: 3", body=b"ab")):
            client = await server.connect()
            client.write(part)
            client.writer.write_eof()
            assert await client.rest() == b""
        assert [line.left for line in server.backend.lines] == [[(1006, "")]]


async def test_a_client_that_closed_its_direction_and_hears_nothing_for_the_whole_time_has_left() -> None:
    """P3, P5. On TCP it cannot be told from one that has gone, and those must not pile up."""
    async with served(waiting, InterfaceSettings(access_log=False, half_close_timeout_s=0.1)) as server:
        client = await server.connect()
        client.write(get(b"Host: a"))
        line = await server.backend.next()
        client.writer.write_eof()
        assert await client.rest() == b""
        await line.gone()
        assert line.left == [(1006, "")]
        assert server.context.counters["aborted.half_closed"] == 1


async def test_a_client_that_closed_its_direction_and_takes_what_it_is_sent_is_still_there() -> None:
    """P5. Each byte that it acknowledges begins its time anew, so that a long response comes to its end."""
    drop = asyncio.Event()

    async def dripping(scope: Event, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while await drop.wait():
            drop.clear()
            await send({"type": "http.response.body", "body": b"drop", "more_body": True})

    async with served(dripping, InterfaceSettings(access_log=False, half_close_timeout_s=1000)) as server:
        client = await server.connect()
        client.write(get(b"Host: a"))
        line = await server.backend.next()
        client.writer.write_eof()
        await until(lambda: len(server.context.half_closed))
        (connection,) = server.factory.http1.connections
        now = asyncio.get_running_loop().time()
        for round in range(1, 4):
            drop.set()
            await client.until(b"drop\r\n")
            await until(lambda: connection.transport.unsent_bytes() == 0)
            server.context.half_closed.check(now + round * 1001)
            assert not line.over()
        server.context.half_closed.check(now + 5005)
        assert line.left == [(1006, "")]


async def test_a_client_that_has_really_left_is_known_by_its_reset_or_on_a_unix_socket_by_its_close(tmp_path) -> None:
    """P3. Nobody waits for it until its time is over."""
    settings = InterfaceSettings(access_log=False, half_close_timeout_s=1000)
    told = asyncio.Event()

    async def tells(scope: Event, receive: Receive, send: Send) -> None:
        await told.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half of it", "more_body": True})
        await waiting(scope, receive, send)

    async with served(tells, settings) as server:
        client = await server.connect()
        client.write(get(b"Host: a"))
        line = await server.backend.next()
        client.close()
        await until(lambda: server.factory.http1.unread)
        told.set()
        await line.gone()
        assert line.left == [(1006, "")]
    async with served(waiting, settings, uds=str(tmp_path / "http.sock")) as server:
        client = await server.connect()
        client.write(get(b"Host: a"))
        line = await server.backend.next()
        client.close()
        await line.gone()
        assert line.left == [(1006, "")]


async def test_without_a_half_close_timeout_a_client_that_closes_its_direction_has_left() -> None:
    async with served(waiting, InterfaceSettings(access_log=False, half_close_timeout_s=0)) as server:
        client = await server.connect()
        client.write(get(b"Host: a"))
        line = await server.backend.next()
        client.writer.write_eof()
        assert await client.rest() == b""
        assert line.left == [(1006, "")]
