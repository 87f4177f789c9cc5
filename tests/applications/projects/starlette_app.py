"""A Starlette application as its documentation teaches it: routes, middleware, lifespan, forms, files, WebSockets."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import bells
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket


@contextlib.asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[dict[str, object]]:
    yield {"greeting": "from the lifespan", "seen": []}


class Stamp(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        response.headers["x-stamp"] = "stamped"
        return response


async def echo_request(request: Request) -> Response:
    return JSONResponse(
        {
            "method": request.method,
            "path": request.url.path,
            "raw_path": request.scope["raw_path"].decode("ascii"),
            "query": list(request.query_params.multi_items()),
            "host": request.headers["host"],
            "xs": request.headers.getlist("x"),
            "client": request.client.host if request.client else None,
            "scheme": request.url.scheme,
            "body": (await request.body()).decode(),
        }
    )


async def state(request: Request) -> Response:
    request.state.mine = "only in this request"
    request.state.seen.append(1)  # the copy is shallow: what the lifespan made is shared
    return JSONResponse({"greeting": request.state.greeting, "seen": len(request.state.seen)})


async def state_again(request: Request) -> Response:
    return JSONResponse({"mine": getattr(request.state, "mine", None), "seen": len(request.state.seen)})


async def digest(request: Request) -> Response:
    hasher, size = hashlib.sha256(), 0
    async for part in request.stream():
        hasher.update(part)
        size += len(part)
    return JSONResponse({"sha256": hasher.hexdigest(), "size": size})


async def form(request: Request) -> Response:
    async with request.form() as fields:
        file = fields["file"]
        content = await file.read()
        return JSONResponse(
            {"name": fields["name"], "filename": file.filename, "sha256": hashlib.sha256(content).hexdigest()}
        )


async def stream(request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        yield b"first"
        await bells.heard(request.path_params["bell"])
        yield b"second"

    return StreamingResponse(parts(), media_type="text/plain", headers={"content-encoding": "identity"})


async def download(request: Request) -> Response:
    size = int(request.query_params["size"])

    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, size, 100_000):
            yield b"d" * min(100_000, size - start)

    return StreamingResponse(parts(), headers={"content-encoding": "identity"})


async def left(request: Request) -> Response:
    """An endless answer; whoever leaves it rings the bell."""

    async def parts() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"." * 1000
                await bells.heard("always")
        finally:
            bells.ring(request.path_params["bell"])

    bells.ring("always")
    return StreamingResponse(parts(), headers={"content-encoding": "identity"})


async def ring(request: Request) -> Response:
    bells.ring(request.path_params["bell"])
    return Response(status_code=204)


async def heard(request: Request) -> Response:
    return PlainTextResponse(await bells.heard(request.path_params["bell"]))


async def background(request: Request) -> Response:
    async def work() -> None:
        await bells.heard(request.path_params["bell"] + "-go")
        bells.ring(request.path_params["bell"], "worked")

    return PlainTextResponse("answered", background=BackgroundTask(work))


async def cookies(_: Request) -> Response:
    response = RedirectResponse("/echo", status_code=303)
    response.set_cookie("one", "1", httponly=True)
    response.set_cookie("two", "2")
    return response


async def long_text(_: Request) -> Response:
    return PlainTextResponse("towpath " * 5000)


async def fail(_: Request) -> Response:
    raise LookupError("this view always fails")


async def talk(websocket: WebSocket) -> None:
    wanted = websocket.scope["subprotocols"]
    await websocket.accept(subprotocol=wanted[-1] if wanted else None, headers=[(b"x-welcome", b"aboard")])
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            bells.ring(f"talk-{message['code']}", message.get("reason") or "")
            return
        if message.get("text") == "close":
            await websocket.close(4321, "as you wish")
            return
        if message.get("text") is not None:
            await websocket.send_text(message["text"])
        else:
            await websocket.send_bytes(message["bytes"])


async def guarded(websocket: WebSocket) -> None:
    await websocket.send_denial_response(
        JSONResponse({"why": "no ticket"}, status_code=401, headers={"x-gate": "shut"})
    )


async def rejected(websocket: WebSocket) -> None:
    await websocket.close()


app = Starlette(
    routes=[
        Route("/echo", echo_request, methods=["GET", "POST", "PUT", "DELETE"]),
        Route("/echo/{rest:path}", echo_request),
        Route("/state", state),
        Route("/state-again", state_again),
        Route("/digest", digest, methods=["POST"]),
        Route("/form", form, methods=["POST"]),
        Route("/stream/{bell}", stream),
        Route("/download", download),
        Route("/left/{bell}", left),
        Route("/ring/{bell}", ring, methods=["POST"]),
        Route("/heard/{bell}", heard),
        Route("/background/{bell}", background),
        Route("/cookies", cookies),
        Route("/long", long_text),
        Route("/fail", fail),
        Mount("/files", StaticFiles(directory=os.environ.get("FILES", str(Path(__file__).parent)))),
        WebSocketRoute("/talk", talk),
        WebSocketRoute("/guarded", guarded),
        WebSocketRoute("/rejected", rejected),
    ],
    middleware=[Middleware(Stamp), Middleware(GZipMiddleware, minimum_size=1000)],
    lifespan=lifespan,
)
