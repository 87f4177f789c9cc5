"""A FastAPI application as its documentation teaches it: models, dependencies, sync and async endpoints, events."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Annotated

import bells
from fastapi import (
    BackgroundTasks,
    Depends,
    FastAPI,
    HTTPException,
    Request,
    UploadFile,
    WebSocket,
    WebSocketDisconnect,
)
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, Field
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint

started: list[str] = []


@contextlib.asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    started.append("once")
    yield


app = FastAPI(title="Boats", lifespan=lifespan)


class Boat(BaseModel):
    name: str = Field(min_length=1)
    length_m: float = Field(gt=0)


def ledger() -> Iterator[list[str]]:
    entries = ["opened"]
    yield entries
    entries.append("closed")


@app.post("/boats", status_code=201)
async def add_boat(boat: Boat, entries: Annotated[list[str], Depends(ledger)]) -> dict[str, object]:
    return {"boat": boat, "ledger": entries, "started": started}


@app.get("/sync")
def in_a_thread() -> dict[str, bool]:
    return {"main_thread": threading.current_thread() is threading.main_thread()}


@app.get("/missing")
async def missing() -> None:
    raise HTTPException(404, "no such boat", headers={"x-why": "sunk"})


@app.get("/fail")
async def fail() -> None:
    raise LookupError("this endpoint always fails")


@app.post("/upload")
async def upload(file: UploadFile) -> dict[str, object]:
    hasher = hashlib.sha256()
    while part := await file.read(1 << 20):
        hasher.update(part)
    return {"filename": file.filename, "size": file.size, "sha256": hasher.hexdigest()}


@app.get("/background/{bell}")
async def background(bell: str, tasks: BackgroundTasks) -> str:
    async def work() -> None:
        await bells.heard(f"{bell}-go")
        bells.ring(bell, "worked")

    tasks.add_task(work)
    return "answered"


@app.post("/ring/{bell}", status_code=204)
async def ring(bell: str) -> None:
    bells.ring(bell)


@app.get("/heard/{bell}")
async def heard(bell: str) -> str:
    return await bells.heard(bell)


@app.get("/events/{bell}")
async def events(bell: str) -> StreamingResponse:
    async def lines() -> AsyncIterator[str]:
        try:
            yield "id: 1\ndata: cast off\n\n"
            await bells.heard(bell)
            yield "id: 2\ndata: under way\n\n"
            await asyncio.Event().wait()
        finally:
            bells.ring(f"{bell}-left")

    return StreamingResponse(lines(), media_type="text/event-stream", headers={"cache-control": "no-store"})


@app.websocket("/chat/{room}")
async def chat(websocket: WebSocket, room: str, name: str = "nobody") -> None:
    await websocket.accept()
    try:
        while True:
            message = await websocket.receive_json()
            await websocket.send_json({"room": room, "name": name, "said": message})
    except WebSocketDisconnect as end:
        bells.ring(f"{room}-left", str(end.code))


@app.websocket("/broken")
async def broken(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.receive_text()
    raise LookupError("this socket always fails")


async def transaction(bell: str) -> AsyncIterator[None]:
    """As a session of a database: committed if nothing was raised, rolled back otherwise."""
    try:
        yield
    except BaseException:
        bells.ring(f"{bell}-transaction", "rolled back")
        raise
    bells.ring(f"{bell}-transaction", "committed")


class Late(Exception):
    """What an endpoint raises for an exception handler."""


async def until_left(request: Request, bell: str) -> None:
    bells.ring(f"{bell}-started")
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def order(request: Request, bell: str, tasks: BackgroundTasks) -> str:
    """Is not finished before its client has left."""
    await until_left(request, bell)
    tasks.add_task(bells.ring_on_loop, f"{bell}-background", "worked")
    return "ordered"


async def too_late(request: Request, bell: str) -> None:
    await until_left(request, bell)
    raise Late


async def answer_late(request: Request, _error: Exception) -> Response:
    bell = request.path_params["bell"]
    return JSONResponse("late", 409, background=BackgroundTask(bells.ring_on_loop, f"{bell}-background", "worked"))


async def hand_on(request: Request, call_next: RequestResponseEndpoint) -> Response:
    return await call_next(request)


def shop(*middleware: Middleware) -> FastAPI:
    made = FastAPI(middleware=middleware, exception_handlers={Late: answer_late})
    made.post("/orders/{bell}", dependencies=[Depends(transaction)])(order)
    made.post("/late/{bell}")(too_late)
    return made


app.mount("/plain", shop())
app.mount("/behind", shop(Middleware(BaseHTTPMiddleware, dispatch=hand_on)))


@app.get("/export/{bell}")
async def export(bell: str) -> Response:
    """A large file, to be removed afterwards."""
    file = tempfile.NamedTemporaryFile(delete=False)
    file.truncate(100_000_000)

    def remove() -> None:
        os.unlink(file.name)
        bells.ring_thread(bell)

    return FileResponse(file.name, background=BackgroundTask(remove))


@app.get("/exported/{bell}")
def exported(bell: str) -> bool:
    return bells.heard_in_thread(bell)
