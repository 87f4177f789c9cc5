"""What one read held is handed on in order, one request at a time."""

from __future__ import annotations

import asyncio

from channel_layer.protocol.events import Event
from interface_server.http1.phase import HEAD, LINGERING
from interface_server.settings import InterfaceSettings
from tests.interface_server.http1.test_pipelined_requests import HEALTH, connected
from tests.interface_server.http1.test_probes import hello
from tests.support.facts import until
from tests.support.in_process_server import Receive, Send, served

SETTINGS = InterfaceSettings(access_log=False)
POST = b"POST /%b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n%b"


async def test_a_request_waits_until_the_exchange_before_it_is_over_and_its_body_follows_it():
    """P1. In order, whatever waits: heads, bodies, and what nobody can parse at the end."""
    begun, may_answer = list[str](), asyncio.Event()

    async def slow(scope: Event, receive: Receive, send: Send) -> None:
        begun.append(scope["path"])
        body = (await receive())["body"]
        await may_answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": body})

    async with served(slow, SETTINGS) as server:
        client, connection = await connected(server)
        connection.dataReceived(POST % (b"first", b"12345") + POST % (b"second", b"67890") + b"\x00\r\n\r\n")
        await until(lambda: begun == ["/first"])
        assert len(connection.reader.parsed) == 4, "head, body, end; and what is no request"
        may_answer.set()
        answers = [(await client.response())[::2] for _ in range(3)]
        assert answers[:2] == [(200, b"12345"), (200, b"67890")]
        assert answers[2][0] == 400
        assert begun == ["/first", "/second"]
        assert connection.reader.parsed == []


async def test_half_a_head_behind_a_request_that_is_answered_at_once_has_its_timeout():
    """P5. Both came in one read: the connection is not idle, though its one exchange is over."""
    async with served(hello, SETTINGS) as server:
        client, connection = await connected(server)
        connection.dataReceived(HEALTH + b"GET /half HTTP/1.1\r\nHo")
        assert (await client.response())[2] == b"live\n"
        assert connection.phase is HEAD
        assert connection.deadline <= server.context.deadline(SETTINGS.head_timeout_s)


async def test_a_last_answer_with_requests_behind_it_ends_like_one_that_came_later():
    """RFC 9112, 9.6. The client is ahead, so more may be on its way: a close upon it would lose the answer."""
    async with served(hello, SETTINGS) as server:
        client, connection = await connected(server)
        server.context.draining = True
        connection.dataReceived(HEALTH + HEALTH)
        assert (await client.response())[2] == b"live\n"
        assert connection.phase is LINGERING
        assert await client.reader.read() == b""
