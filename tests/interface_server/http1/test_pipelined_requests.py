"""P5, P12. Clients that are far ahead of their responses: served in order, out of bounded memory, and at nobody's expense.

Where it matters what one read held, the test brings the bytes to the connection itself, as the event loop would.
"""

from __future__ import annotations

from interface_server.http1.connection import Http1Connection
from interface_server.http1.request_reader import PARSE_SIZE_BYTES_MAX
from interface_server.settings import InterfaceSettings
from tests.interface_server.http1.test_probes import hello
from tests.support.facts import until
from tests.support.in_process_server import Client1, Receive, Send, Served, served
from tests.support.websocket_server import client_frame, upgrade_request

SETTINGS = InterfaceSettings(access_log=False)
READ_SIZE_BYTES = 250_000  #: about what uvloop reads at once
HEALTH = b"GET /-/health/live HTTP/1.1\r\nHost: a\r\n\r\n"


async def waiting(scope: object, receive: Receive, send: Send) -> None:
    """Says nothing until the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def connected(server: Served) -> tuple[Client1, Http1Connection]:
    """A client, and the connection that serves it."""
    client = await server.connect()
    await until(lambda: server.factory.http1.connections)
    (connection,) = server.factory.http1.connections
    return client, connection


def mixed(number: int) -> tuple[bytes, bytes]:
    """One of many kinds of requests, and the body of its answer."""
    path, body = b"/%d" % number, b"%d" % number * (number % 7 * 50)
    line = b" %b HTTP/1.1\r\nHost: a\r\n" % path
    upgrade = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
    chunks = (
        b"transfer-encoding: chunked\r\n\r\n" + (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
    )
    length = b"content-length: %d\r\n\r\n%b" % (len(body), body)
    request = (
        b"GET" + line + b"\r\n",
        b"POST" + line + length,
        b"POST" + line + chunks,
        b"GET" + line + upgrade + b"\r\n",
        b"POST" + line + upgrade + chunks,
        b"POST" + line + upgrade + length,
    )[number % 6]
    method, said = (b"GET", b"") if number % 6 in (0, 3) else (b"POST", body)
    return request, b"%b %b [%b]" % (method, path, said)


async def test_all_that_one_read_held_is_answered_in_order_whatever_it_was():
    """P1. Heads, bodies, chunks and upgrades to what is not spoken here; cut wherever the parts of a read happen to end."""
    requests, answers = zip(*(mixed(number) for number in range(3000)), strict=True)
    async with served(hello, SETTINGS) as server:
        client, connection = await connected(server)
        connection.dataReceived(b"".join(requests))
        for answer in answers:
            assert (await client.response())[2] == answer


async def test_thousands_of_upgrades_in_one_read_are_no_deeper_than_one():
    """P12. Each asks for a protocol that is not spoken here."""
    async with served(hello, SETTINGS) as server:
        client, connection = await connected(server)
        connection.dataReceived(
            b"GET /-/health/live HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" * 3000
        )
        for _ in range(3000):
            assert (await client.response())[2] == b"live\n"


async def test_of_what_waits_for_its_turn_little_is_parsed():
    """P5. A request takes twenty times its bytes once it is parsed, and a chunk of one byte thirty times."""
    async with served(waiting, SETTINGS) as server:
        for ahead in (
            b"GET / HTTP/1.1\r\nHost:\r\n\r\n" * 10_000,
            b"POST / HTTP/1.1\r\nHost:\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 40_000,
        ):
            client, connection = await connected(server)
            connection.dataReceived((b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + ahead)[:READ_SIZE_BYTES])
            assert connection in server.factory.http1.unread
            assert len(connection.reader.parsed) < PARSE_SIZE_BYTES_MAX / 5
            client.reset()
            await until(lambda: not server.factory.http1.connections)


async def test_what_is_answered_on_the_spot_holds_nobody_up():
    """P12. Another client has its turn between a few hundred of the answers to one that asked thousands of times."""
    async with served(hello, SETTINGS) as server:
        client, connection = await connected(server)
        asked = READ_SIZE_BYTES // len(HEALTH)
        connection.dataReceived(HEALTH * asked)
        assert connection.transport._written < 200 * PARSE_SIZE_BYTES_MAX // len(HEALTH)
        for _ in range(asked):
            assert (await client.response())[2] == b"live\n"


async def test_a_websocket_behind_a_long_read_gets_what_stands_behind_its_head():
    """P1. The rest of the read is the WebSocket's, wherever the parts of it ended."""
    async with served(waiting, SETTINGS) as server:
        client, connection = await connected(server)
        frames = client_frame(2, bytes(20_000))
        connection.dataReceived(HEALTH * 1000 + upgrade_request(behind=frames))
        for _ in range(1000):
            assert (await client.response())[2] == b"live\n"
        line = await server.backend.next()
        assert line.scope["type"] == "websocket" and line.client._reader._held == frames
        client.reset()
        await until(lambda: not server.context.under_way)


async def test_what_stands_behind_the_last_answer_of_a_leaving_server_is_not_served():
    """P12. Draining, the first of many says `close`; the others are dropped without a complaint, and the answer arrives."""
    async with served(hello, SETTINGS) as server:
        client, connection = await connected(server)
        server.context.draining = True
        connection.dataReceived(HEALTH * 3000)
        answer = await client.rest()
        assert answer.count(b"HTTP/1.1 200") == 1 and b"connection: close" in answer and answer.endswith(b"live\n")


async def test_a_head_of_nothing_but_fields_is_refused_before_it_is_whole():
    """P5. Fields without a name worth mentioning take forty times their bytes, and a slow head may take its time."""
    async with served(hello, SETTINGS) as server:
        client, connection = await connected(server)
        connection.dataReceived(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A:\r\n" * 90)
        assert not server.context.counters
        connection.dataReceived(b"A:\r\n" * 20)
        assert (await client.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 431 ")
        assert not connection.reader._parser._fields
        client.reset()
