"""The application that runs under load while its servers are replaced and killed. It records what it did, for the checks afterwards.

One line per fact, `name pid seconds`, by one write to a file for its word and process: a kill loses none, and two processes
never share a file. The clock is the machine's monotonic one, which the clients of the load read too.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, MutableMapping
from functools import cache
from typing import Any

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

WORK_S = 0.01  #: what a request waits for, as for a database: so that some are under way whenever a process dies


async def application(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await live(receive, send)
    elif scope["type"] == "http":
        await answer(scope, receive, send)
    else:
        await echo(scope, receive, send)


async def live(receive: Receive, send: Send) -> None:
    await receive()
    write_down("started", "-")
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def answer(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    """The name that was asked with is the answer. A POST is written down at once: one that ran twice stands there twice."""
    name = scope["path"].rpartition("/")[2]
    if scope["method"] == "POST":
        write_down("post", name)
    while (await receive()).get("more_body"):
        pass
    await asyncio.sleep(WORK_S)
    body = name.encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def echo(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    """`/plain/…` asks for nothing; `/resumable/…` for hand-off, where the server knows of it; `/crash/…` also after a crash."""
    _, kind, name = scope["path"].split("/")
    resumable = {"resumable": True, "crash": "crash"}.get(kind)
    knows = "towpath.resume" in (scope.get("extensions") or {})
    await receive()
    await send({"type": "websocket.accept"} | ({"resumable": resumable} if resumable and knows else {}))
    pid = os.getpid()
    try:
        while (event := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": f"{event['text']} {pid}"})
    except OSError:  # it has gone: the reason is the next event
        event = await receive()
    write_down("disconnect", name)


def write_down(word: str, name: str) -> None:
    os.write(_file(word), f"{name} {os.getpid()} {time.monotonic():.6f}\n".encode())


@cache
def _file(word: str) -> int:
    """Opened when first needed: by then the process is the one that serves."""
    path = os.path.join(os.environ["BENCH_FACTS"], f"{word}-{os.getpid()}")
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
