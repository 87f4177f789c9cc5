"""ASGI 2 applications, as a class and as a closure: called with the scope, then awaited with receive and send."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def answer(send: Send, status: int, text: str) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": text.encode()})


async def run(made_by: str, scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": f"{made_by}: {message['text']}"})
        return
    body = b""
    while True:
        event = await receive()
        body += event.get("body", b"")
        if not event.get("more_body"):
            break
    await answer(send, 200, f"{made_by} {scope['asgi']['version']} {scope['path']} {body.decode()}")


class Application:
    def __init__(self, scope: dict[str, Any]) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError("no lifespan here")
        if scope.get("path") == "/refused":
            raise LookupError("raised before the instance was called")
        self.scope = scope

    async def __call__(self, receive: Receive, send: Send) -> None:
        await run("class", self.scope, receive, send)


def closure(scope: dict[str, Any]) -> Callable[[Receive, Send], Awaitable[None]]:
    if scope["type"] == "lifespan":
        raise NotImplementedError("no lifespan here")
    if scope.get("path") == "/refused":
        raise LookupError("raised before the instance was called")

    async def instance(receive: Receive, send: Send) -> None:
        await run("closure", scope, receive, send)

    return instance
