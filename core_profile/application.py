"""The application that the core is exercised with: an instance for each kind of work that servers are there for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from channel_layer import get_channel_layer

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

PAGE = b"<p>A page.</p>" * 750


async def application(scope: Event, receive: Receive, send: Send) -> None:
    """Answer `/hello`, `/page`, `/stream` and `/repeat` (the body of the request); WebSockets echo, or speak to all."""
    if scope["type"] == "http":
        await answer(scope, receive, send)
    elif scope["type"] == "websocket":
        await converse(scope, receive, send)


async def answer(scope: Event, receive: Receive, send: Send) -> None:
    """One response with a length; that of `/stream` comes in pieces."""
    kind, pieces = b"text/plain", [b"Hello, world!"]
    if scope["path"] == "/page":
        kind, pieces = b"text/html; charset=utf-8", [PAGE]
    elif scope["path"] == "/stream":
        pieces = [PAGE] * 20
    elif scope["path"] == "/repeat":
        kind, pieces = b"application/json", [await body(receive)]
    headers = [(b"content-type", kind), (b"content-length", b"%d" % sum(map(len, pieces)))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for piece in pieces[:-1]:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": pieces[-1]})


async def body(receive: Receive) -> bytes:
    """The body of a request, whole."""
    pieces = []
    while True:
        event = await receive()
        pieces.append(event["body"])
        if not event["more_body"]:
            return b"".join(pieces)


async def converse(scope: Event, receive: Receive, send: Send) -> None:
    """An echo of binary messages; texts go to all members of one group."""
    layer = get_channel_layer()
    await receive()
    await layer.group_add("everyone", scope["extensions"]["towpath.channel"]["reply_channel"])
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        if event.get("text") is not None:
            await layer.group_send("everyone", {"type": "websocket.send", "text": event["text"]})
        else:
            await send({"type": "websocket.send", "bytes": event["bytes"]})
