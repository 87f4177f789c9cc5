"""An application whose clients take their time: streams that have nothing to say yet, uploads, and requests that wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route


async def silence() -> AsyncIterator[str]:
    """An event stream without an event."""
    await asyncio.Event().wait()
    yield ""


async def stream(_request: Request) -> Response:
    return StreamingResponse(silence(), media_type="text/event-stream")


async def upload(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def wait(request: Request) -> Response:
    """A long poll that has nothing to say as long as its client is there."""
    while not await request.is_disconnected():
        await asyncio.sleep(0.05)
    return PlainTextResponse("nothing")


async def hello(_request: Request) -> Response:
    return PlainTextResponse("hello")


application = Starlette(
    routes=[
        Route("/", hello),
        Route("/stream", stream),
        Route("/upload", upload, methods=["POST"]),
        Route("/wait", wait),
    ]
)
