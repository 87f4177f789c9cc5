"""A bell that strikes and counts, as server-sent events: whoever says `Last-Event-ID` hears what comes after it."""

from __future__ import annotations

import asyncio
import os

HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store")]


async def application(scope, receive, send):
    assert scope["type"] == "http"
    fields = dict(scope["headers"])
    number = int(fields.get(b"last-event-id", b"0"))
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    ended = asyncio.ensure_future(until_disconnected(receive))
    while not ended.done():
        number += 1
        event = f"id: {number}\ndata: {os.getpid()}\n\n".encode()
        await send({"type": "http.response.body", "body": event, "more_body": True})
        await asyncio.wait([ended], timeout=0.02)


async def until_disconnected(receive):
    while (await receive())["type"] != "http.disconnect":
        pass
