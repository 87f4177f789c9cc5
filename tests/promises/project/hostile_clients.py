"""An application that hostile clients are let loose on: it waits for them as patiently as any, and traces each end that it is told.

A trace `ends` has the path and what was heard: a code for a WebSocket, `disconnect` for an exchange, `done` for one that went well.
"""

from __future__ import annotations

import asyncio
import hashlib
import os

from witness import echo, hello, hold_up, pid, respond, trace

PART = bytes(65_536)


async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError("no lifespan here")
    trace("starts", f"{os.getpid()} {scope.get('method', 'WS')} {scope['path']}")
    name = scope["path"].split("/")[1]
    if scope["type"] == "websocket":
        await (flood if name == "flood" else echo)(scope, receive, send)
    else:
        await ROUTES.get(name, hello)(scope, receive, send)


async def digest(scope, receive, send):
    """Reads a body to its end, and answers with its digest."""
    total = hashlib.sha256()
    while (event := await receive())["type"] == "http.request":
        total.update(event["body"])
        if not event["more_body"]:
            await respond(send, 200, total.hexdigest().encode())
            return trace("ends", f"{scope['path']} done")
    return trace("ends", f"{scope['path']} disconnect")


async def pour(scope, receive, send):
    """A response without end, as fast as it is taken."""
    await stream(scope, receive, send, 0.0, PART)


async def drip(scope, receive, send):
    """A response without end, some bytes at a time."""
    await stream(scope, receive, send, 0.1, b"data: drop\n\n")


async def poll(scope, receive, send):
    """Waits for something that does not happen."""
    while (await receive())["type"] == "http.request":
        pass
    trace("ends", f"{scope['path']} disconnect")


async def stream(scope, receive, send, pause_s, part):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})

    async def sending():
        while True:
            await send({"type": "http.response.body", "body": part, "more_body": True})
            await asyncio.sleep(pause_s)

    await until_gone(scope, receive, sending(), lambda event: "disconnect")


async def flood(scope, receive, send):
    """Messages without end, as fast as they are taken."""
    await receive()
    await send({"type": "websocket.accept"})

    async def sending():
        while True:
            await send({"type": "websocket.send", "bytes": PART})

    await until_gone(scope, receive, sending(), lambda event: event["code"])


async def until_gone(scope, receive, sending, heard):
    """Send in one task, listen in this one: as frameworks do."""
    task = asyncio.ensure_future(sending)
    while not (event := await receive())["type"].endswith("disconnect"):
        pass
    trace("ends", f"{scope['path']} {heard(event)}")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


ROUTES = {"digest": digest, "pour": pour, "drip": drip, "poll": poll, "hold_up": hold_up, "pid": pid}
