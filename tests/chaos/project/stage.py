"""An application that can be found in every state of a connection's life, and writes down what it was started for and how that ended.

The last part of a path names the connection: each is used once, so a second start is seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import os
from pathlib import Path

from channel_layer import get_channel_layer
from channel_layer.errors import LayerUnavailable

TRACES = Path(os.environ.get("TRACES", "."))
PARTS = 10
PART_S = 0.03
LATE_S = 0.2
HELD_LOOK_S = 0.01
LARGE_PARTS = 16
LARGE_PART_SIZE_BYTES = 50_000
READ_S = 0.02
GROUP = "room"

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


async def held(moment, name, instance) -> None:
    """Go no further as long as the play holds this moment open: that there is a file says so."""
    gate = TRACES / f"hold-{moment}"
    if gate.exists():
        trace(f"held-{moment}", name, os.getpid(), instance)
    while gate.exists():
        await asyncio.sleep(HELD_LOOK_S)


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
    await held("taken", name, instance)
    await quick(scope, receive, send, name, instance)


async def long(scope, receive, send, name, instance):
    """Is in the middle of its response for a while."""
    await begin(send)
    for number in range(PARTS):
        await send({"type": "http.response.body", "body": f"{name} {number}\n".encode(), "more_body": True})
        await held("first_byte", name, instance)
        await asyncio.sleep(PART_S)
    await send({"type": "http.response.body", "body": b""})


async def large(scope, receive, send, name, instance):
    """More than one window, towards a client that takes its time."""
    await begin(send)
    for number in range(LARGE_PARTS):
        part = f"{name} {number} ".encode().ljust(LARGE_PART_SIZE_BYTES, b".")
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def upload(scope, receive, send, name, instance):
    """The same in the other direction: the application takes its time."""
    total, more = hashlib.sha256(), True
    while more and (event := await receive())["type"] == "http.request":
        total.update(event.get("body", b""))
        more = event.get("more_body", False)
        await asyncio.sleep(READ_S)
    await begin(send)
    await send({"type": "http.response.body", "body": f"{name} {total.hexdigest()}".encode()})


async def hold(scope, receive, send, name, instance):
    """Says that it is there, and then nothing more until its client goes."""
    with contextlib.suppress(OSError):  # its client had gone before it could say a word: ASGI tells that by this error
        await begin(send)
        await send({"type": "http.response.body", "body": f"{name}\n".encode(), "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
    trace("ends", name, os.getpid(), instance, 0)


async def tell(scope, receive, send, name, instance):
    """Tells all members of the group; whoever asked knows by the answer that it is published."""
    body, status = await body_of(receive), 200
    try:
        await get_channel_layer().group_send(GROUP, {"type": "websocket.send", "text": f"note {name}"})
    except LayerUnavailable:
        status = 202  # it may have been published
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": f"{name} {len(body)}".encode()})


async def socket(scope, receive, send, name, instance, resumable=False, accept_after_s=0.0, joins=False):
    """Echoes with numbers. What it counts stays with the socket where that is handed over."""
    count = (scope["extensions"].get("towpath.resume") or {}).get("state")
    if (await receive())["type"] == "websocket.connect":
        await asyncio.sleep(accept_after_s)
        await say(send, {"type": "websocket.accept", "resumable": resumable})
        joined = not joins or await join(scope["extensions"]["towpath.channel"]["reply_channel"])
        if count is None:
            count = 0
            await say(send, {"type": "towpath.state", "state": 0} if resumable else None)
            await say(send, {"type": "websocket.send", "text": f"hello {name}"} if joined else None)
        while (event := await receive())["type"] == "websocket.receive":
            count += 1
            await say(send, {"type": "towpath.state", "state": count} if resumable else None)
            await say(send, {"type": "websocket.send", "text": f"{name} {event['text']} {count}"})
    trace("ends", name, os.getpid(), instance, event["code"])


async def join(channel) -> bool:
    """Is it a member now? While Redis is away nobody can say."""
    try:
        await get_channel_layer().group_add(GROUP, channel)
    except LayerUnavailable:
        return False
    return True


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


async def member(*arguments):
    """Is greeted when it has joined; whoever takes it over joins again."""
    await socket(*arguments, resumable=True, joins=True)


KINDS = {
    "quick": quick,
    "late": late,
    "long": long,
    "large": large,
    "upload": upload,
    "tell": tell,
    "member": member,
    "hold": hold,
    "plain": socket,
    "resumable": resumable,
    "crash": crash,
    "hesitant": hesitant,
}
