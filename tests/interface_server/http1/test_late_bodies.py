"""Request bodies that stop coming: who is late, and who is not to blame."""

from __future__ import annotations

import asyncio

import pytest

from channel_layer.protocol.events import Event
from interface_server.settings import InterfaceSettings
from tests.support.in_process_server import WINDOW_SIZE_BYTES, Client1, Receive, Send, Served, served

SETTINGS = InterfaceSettings(access_log=False, body_timeout_s=0.1)
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n"


async def application(scope: Event, receive: Receive, send: Send) -> None:
    """/deaf never asks for anything, /early begins its answer first; then all that comes is read."""
    if scope["path"] == "/deaf":
        await asyncio.Event().wait()
    if scope["path"] == "/early":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"early", "more_body": True})
    size_bytes = 0
    while (event := await receive())["type"] == "http.request":
        size_bytes += len(event["body"])
        if not event["more_body"]:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"%d" % size_bytes})
            return


async def silent(server: Served) -> Client1:
    """A client that sends a part of a body, and then nothing."""
    client = await server.connect()
    client.write(POST + b"\r\nabc")
    return client


async def test_a_body_of_which_nothing_comes_any_more_is_408() -> None:
    """P5. Its application hears that the client is gone, and its place in the worker is free."""
    async with served(application, SETTINGS) as server:
        client = await silent(server)
        status, headers, text = await client.response()
        assert (status, headers[b"connection"]) == (408, b"close")
        assert b"body" in text and await client.rest() == b""
        assert server.backend.lines[0].left == [(1006, "")]
        assert server.context.counters["refused.body_timeout"] == 1
        client.close()


async def test_whoever_sends_a_little_now_and_then_is_not_late() -> None:
    """P5. Slow is no offence: the body takes longer than it may pause."""
    async with served(application, InterfaceSettings(access_log=False, body_timeout_s=0.5)) as server:
        client = await server.connect()
        client.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60\r\n\r\n")
        for _ in range(60):
            client.write(b"x")
            await asyncio.sleep(0.02)  # a writer of 50 bytes a second
        assert (await client.response())[::2] == (200, b"60")
        assert not len(server.context.uploads)
        client.close()


@pytest.mark.parametrize(
    "words",
    [
        POST.replace(b" / ", b" /deaf ") + b"\r\n" + bytes(WINDOW_SIZE_BYTES * 3),
        POST.replace(b" / ", b" /deaf ") + b"Expect: 100-continue\r\n\r\n",
        POST.replace(b" / ", b" /early ") + b"\r\nabc",
        b"POST /deaf HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
    ],
    ids=["the application does not read", "nobody asked for it", "the answer has begun", "the body is there"],
)
async def test_who_cannot_send_or_is_answered_already_is_not_late(words: bytes) -> None:
    """P5. One that began later, and is to blame, has been refused meanwhile; twice, so that everybody's time was over."""
    async with served(application, SETTINGS) as server:
        client = await server.connect()
        client.write(words)
        line = await server.backend.next()
        for _ in range(2):
            late = await silent(server)
            assert (await late.response())[0] == 408
            late.close()
        assert not line.over()
        client.reset()
        await line.gone()
