"""An application that leaves traces: what a promise says happened, or did not, is read from files that it writes."""

from __future__ import annotations

import asyncio
import ctypes
import hashlib
import os
import signal
import sys
import time
from pathlib import Path

TRACES = Path(os.environ.get("TRACES", "."))


def trace(name: str, line: str) -> None:
    """One line, whole: written by one `write` to a file opened for appending."""
    with (TRACES / name).open("a") as file:
        file.write(line + "\n")


async def application(scope, receive, send):
    trace(
        "starts",
        f"{os.getpid()} {scope.get('method', 'WS')} {scope['path']}" if scope["type"] != "lifespan" else "lifespan",
    )
    if scope["type"] == "lifespan":
        raise RuntimeError("no lifespan here")
    if scope["type"] == "websocket":
        return await echo(scope, receive, send)
    await ROUTES.get(scope["path"].split("/")[1], hello)(scope, receive, send)
    return None


async def respond(send, status, body, more=False):
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def hello(scope, receive, send):
    """Echoes the path: each client can tell whether the response is its own."""
    await respond(send, 200, scope["path"].encode())


async def pid(scope, receive, send):
    await respond(send, 200, str(os.getpid()).encode())


async def digest(scope, receive, send):
    """Reads a whole body and answers with its digest."""
    total = hashlib.sha256()
    while True:
        event = await receive()
        total.update(event.get("body", b""))
        if not event.get("more_body"):
            break
    await respond(send, 200, total.hexdigest().encode())


async def big(scope, receive, send):
    """/big/<MiB>: a long response in parts of 64 KiB, each numbered."""
    mebibytes = int(scope["path"].split("/")[2])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for number in range(mebibytes * 16):
        await send({"type": "http.response.body", "body": b"%08d" % number + b"x" * 65_528, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
    trace("done", scope["path"])


async def deaf(scope, receive, send):
    """Never reads its body, until told to by a file; then counts what comes."""
    trace("deaf", "waiting")
    while not (TRACES / "listen").exists():
        await asyncio.sleep(0.05)
    size = 0
    while True:
        event = await receive()
        size += len(event.get("body", b""))
        if not event.get("more_body"):
            break
    await respond(send, 200, str(size).encode())


async def hang(scope, receive, send):
    """Answers never; says when its client has gone."""
    trace("hanging", scope["path"])
    while (await receive())["type"] != "http.disconnect":
        pass
    trace("disconnects", f"{scope['path']}")


async def block(scope, receive, send):
    """/block/<s>: keeps the loop for so long, as async code must not."""
    time.sleep(float(scope["path"].split("/")[2]))
    await respond(send, 200, b"blocked")


async def block_in_c(scope, receive, send):
    """Keeps the loop in a call from which no signal gets Python back, as a driver's query does."""
    ctypes.CDLL(None).read(os.pipe()[0], ctypes.create_string_buffer(1), 1)


async def thread(scope, receive, send):
    """Waits for a thread that goes on whatever becomes of its task."""
    await asyncio.to_thread(time.sleep, 60)


async def half(scope, receive, send):
    """Half a response, and then nothing."""
    await respond(send, 200, b"half", more=True)
    await hang(scope, receive, send)


async def echo(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            trace("disconnects", f"{scope['path']} {event['code']}")
            return
        await send({"type": "websocket.send", **{k: v for k, v in event.items() if k in ("text", "bytes")}})


async def die(scope, receive, send):
    """/die/<n>/…: kills its worker the first n times that this path is started."""
    await receive()
    if len([line for line in (TRACES / "starts").read_text().splitlines() if line.endswith(scope["path"])]) <= int(
        scope["path"].split("/")[2]
    ):
        os.kill(os.getpid(), signal.SIGKILL)
    await respond(send, 200, scope["path"].encode())


async def hold_up(scope, receive, send):
    """Holds up the whole loop, as careless code does, until told to stop by a file."""
    trace("blocking", str(os.getpid()))
    while not (TRACES / "unblock").exists():
        time.sleep(0.02)
    await respond(send, 200, b"unblocked")


async def exit_in_a_task(scope, receive, send):
    """Says that the process may end, as code for the command line does, in a task such as Django makes for each view."""
    await asyncio.create_task(exits())


async def exits():
    sys.exit(7)


async def stop_the_loop(scope, receive, send):
    """As code does that thinks the loop its own."""
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0)
    await respond(send, 200, b"stopped")


ROUTES = {
    "stop_the_loop": stop_the_loop,
    "exit_in_a_task": exit_in_a_task,
    "block": block,
    "block_in_c": block_in_c,
    "thread": thread,
    "hold_up": hold_up,
    "die": die,
    "pid": pid,
    "digest": digest,
    "big": big,
    "deaf": deaf,
    "hang": hang,
    "half": half,
}
