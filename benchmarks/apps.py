"""The applications under load: plain ASGI 3, as little of their own as possible, so that the servers are what differs.

None of them knows `lifespan`: the servers are started with it off, where they have such an option.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

BODY = b"Hello, world!"
CHUNK = bytes(range(256)) * 256  # 64 KiB
BLOCK_S = WAIT_S = 0.05
CROWD: list[Send] = []
CHUNKS_PER_MEBIBYTE = 2**20 // len(CHUNK)


async def hello(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"13")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})


async def download(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    """`/?mib=1024`: so many MiB in chunks of 64 KiB, with a length, so that no server has to frame them."""
    chunks = int(parse_qs(scope["query_string"])[b"mib"][0]) * CHUNKS_PER_MEBIBYTE
    headers = [(b"content-type", b"application/octet-stream"), (b"content-length", b"%d" % (chunks * len(CHUNK)))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for _ in range(chunks):
        await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def blocking(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    """`hello`; with the query `block` it blocks the event loop of its worker for 50 ms first, as a forgotten sync call does."""
    if scope["query_string"] == b"block":
        time.sleep(BLOCK_S)
    await hello(scope, receive, send)


async def waiting(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    """`hello` after 50 ms in which it waits for something else, as for a database."""
    await asyncio.sleep(WAIT_S)
    await hello(scope, receive, send)


async def echo(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "bytes": event["bytes"]})


async def crowd(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    """What one says goes to all: by a group where there is a channel layer, else by a loop over those in this process."""
    await receive()
    channel = scope.get("extensions", {}).get("towpath.channel")
    if channel is None:
        CROWD.append(send)
    else:
        from channel_layer import get_channel_layer

        await get_channel_layer().group_add("crowd", channel["reply_channel"])
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        said = {"type": "websocket.send", "bytes": event["bytes"]}
        if channel is not None:
            await get_channel_layer().group_send("crowd", said)
        else:
            for member in CROWD:
                await member(said)


async def idle(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass
