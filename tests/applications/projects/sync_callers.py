"""Sync code that sends to a group, from every place where an application has some. Each answer is how many ms that took."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

from asgiref.sync import async_to_sync, sync_to_async
from fastapi import FastAPI
from flask import Flask

from channel_layer import get_channel_layer

app = FastAPI()
flask_app = Flask(__name__)
layer = get_channel_layer()  # as applications keep it in a module


def send() -> str:
    began = time.perf_counter()
    async_to_sync(get_channel_layer().group_send)("callers", {"type": "test.sent"})
    return took_ms(began)


def took_ms(began: float) -> str:
    return f"{(time.perf_counter() - began) * 1000:.3f}"


@app.get("/async")
async def in_a_coroutine() -> str:
    assert layer is get_channel_layer()
    began = time.perf_counter()
    await layer.group_send("callers", {"type": "test.sent"})
    return took_ms(began)


@app.get("/def")
def in_a_sync_endpoint() -> str:
    return send()


@app.get("/to_thread")
async def in_to_thread() -> str:
    return await asyncio.to_thread(send)


@app.get("/sync_to_async")
async def in_sync_to_async() -> str:
    return await sync_to_async(send)()


@app.get("/thread")
async def in_a_thread_of_its_own() -> str:
    return await asyncio.to_thread(in_thread, send)


@app.get("/run")
async def in_a_loop_of_its_own() -> str:
    return await asyncio.to_thread(asyncio.run, in_a_coroutine())


def in_thread(function: Callable[[], str]) -> str:
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(function()))
    thread.start()
    thread.join()
    return answers[0]


@flask_app.get("/wsgi")
def in_a_wsgi_view() -> str:
    return send()
