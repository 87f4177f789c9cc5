"""A newsroom: clients join groups by an event stream or a WebSocket, and what is posted goes to all of them.

The path of a member names its groups, `/streams.all`; that of a post says what to send.
"""

from __future__ import annotations

import asyncio

from channel_layer import get_channel_layer

STREAM = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}


async def application(scope, receive, send):
    assert scope["type"] in ("http", "websocket")
    layer, me = get_channel_layer(), scope["extensions"]["towpath.channel"]["reply_channel"]
    if scope.get("method") == "POST":
        await post(layer, scope["path"].strip("/").split("/"), receive)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})
    elif scope["path"] == "/own":
        await own(layer, me, send)
        await until_it_leaves(receive)
    else:
        await join(layer, me, scope, send)
        await until_it_leaves(receive)


async def join(layer, me, scope, send):
    """Be a member before the client has got anything, as one has to in order to miss nothing."""
    for group in scope["path"].strip("/").split("."):
        await layer.group_add(group, me)
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": me})
    else:
        await send(STREAM)
        await send(body(me))


async def own(layer, me, send):
    """What one instance says to itself, by each way."""
    mine = me.replace("!", ".")
    await layer.group_add(mine, me)
    await layer.send(me, body("0"))
    await send(STREAM)
    await send(body("1"))
    for number in range(2, 60, 3):
        await layer.group_send(mine, body(str(number)))
        await send(body(str(number + 1)))
        await layer.send(me, body(str(number + 2)))
    await layer.group_send(mine, {**body("bye"), "more_body": False})


async def post(layer, words, receive):
    what, group, *rest = words
    if what == "end":
        await layer.group_send(group, {"type": "http.response.body", "body": b"data: bye\n\n", "more_body": False})
    elif what == "kick":
        await layer.group_discard(group, rest[0])
    elif what == "count":
        for number in range(int(rest[0])):
            await layer.group_send(group, message(group, str(number).encode()))
    elif what == "burst":
        count, size = map(int, rest)
        await asyncio.gather(*(layer.group_send(group, message(group, b"x" * size)) for _ in range(count)))


def message(group, content):
    if group == "streams":
        return {"type": "http.response.body", "body": b"data: " + content + b"\n\n"}
    return {"type": "websocket.send", "bytes": content}


def body(text):
    return {"type": "http.response.body", "body": f"data: {text}\n\n".encode(), "more_body": True}


async def until_it_leaves(receive):
    while not (await receive())["type"].endswith(".disconnect"):
        pass
