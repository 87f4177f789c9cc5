"""An application that can be found in every state of a connection's life, and writes down what it was started for and how that ended.

The last part of a path names the connection: each is used once, so a second start is seen.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from pathlib import Path

TRACES = Path(os.environ.get("TRACES", "."))
PARTS = 10
PART_S = 0.03
LATE_S = 0.2

_numbers = itertools.count(1)


def trace(name: str, *words: object) -> None:
    """One line, whole: written by one `write` to a file opened for appending, so that a kill cannot take it back."""
    with (TRACES / name).open("a") as file:
        file.write(" ".join(map(str, words)) + "\n")


async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError("no lifespan here")
    _, kind, name = scope["path"].split("/")
    instance = next(_numbers)
    trace("starts", name, os.getpid(), instance)
    await KINDS[kind](scope, receive, send, name, instance)


async def body_of(receive) -> bytes:
    body = b""
    while (event := await receive())["type"] == "http.request":
        body += event.get("body", b"")
        if not event.get("more_body"):
            break
    return body


async def begin(send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def quick(scope, receive, send, name, instance):
    """Answers at once, with what only this request can have asked for."""
    body = await body_of(receive)
    await begin(send)
    await send({"type": "http.response.body", "body": f"{name} {len(body)}".encode()})


async def late(scope, receive, send, name, instance):
    """Is owned for a while before the first byte."""
    await asyncio.sleep(LATE_S)
    await quick(scope, receive, send, name, instance)


async def long(scope, receive, send, name, instance):
    """Is in the middle of its response for a while."""
    await begin(send)
    for number in range(PARTS):
        await send({"type": "http.response.body", "body": f"{name} {number}\n".encode(), "more_body": True})
        await asyncio.sleep(PART_S)
    await send({"type": "http.response.body", "body": b""})


async def hold(scope, receive, send, name, instance):
    """Says that it is there, and then nothing more until its client goes."""
    await begin(send)
    await send({"type": "http.response.body", "body": f"{name}\n".encode(), "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        pass
    trace("ends", name, os.getpid(), instance, 0)


async def socket(scope, receive, send, name, instance, resumable=False, accept_after_s=0.0):
    """Echoes with numbers. What it counts stays with the socket where that is handed over."""
    count = (scope["extensions"].get("towpath.resume") or {}).get("state")
    if (await receive())["type"] == "websocket.connect":
        await asyncio.sleep(accept_after_s)
        await say(send, {"type": "websocket.accept", "resumable": resumable})
        if count is None:
            count = 0
            await say(send, {"type": "towpath.state", "state": 0} if resumable else None)
            await say(send, {"type": "websocket.send", "text": f"hello {name}"})
        while (event := await receive())["type"] == "websocket.receive":
            count += 1
            await say(send, {"type": "towpath.state", "state": count} if resumable else None)
            await say(send, {"type": "websocket.send", "text": f"{name} {event['text']} {count}"})
    trace("ends", name, os.getpid(), instance, event["code"])


async def say(send, event) -> None:
    """Send, if there is anybody left; if not, `receive` will say so."""
    try:
        if event is not None:
            await send(event)
    except OSError:
        pass


async def resumable(*arguments):
    await socket(*arguments, resumable=True)


async def crash(*arguments):
    await socket(*arguments, resumable="crash")


async def hesitant(*arguments):
    """Is adopted for a while before its first packet, each time anew."""
    await socket(*arguments, resumable="crash", accept_after_s=LATE_S)


KINDS = {
    "quick": quick,
    "late": late,
    "long": long,
    "hold": hold,
    "plain": socket,
    "resumable": resumable,
    "crash": crash,
    "hesitant": hesitant,
}
