"""A FastAPI application as its documentation teaches it: models, dependencies, sync and async endpoints, events."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Annotated

import bells
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, UploadFile, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

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
