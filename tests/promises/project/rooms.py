"""A chat room in a few lines: clients join and all hear what one says. At /tutorial a client hears itself, by each way."""

from __future__ import annotations

from channel_layer import get_channel_layer


async def application(scope, receive, send):
    assert scope["type"] == "websocket"
    layer = get_channel_layer()
    me = scope["extensions"]["towpath.channel"]["reply_channel"]
    await receive()
    if scope["path"] == "/tutorial":
        await tutorial(layer, me, receive, send)
        return
    await send({"type": "websocket.accept"})
    await layer.group_add("lock", me)
    await layer.send(me, {"type": "websocket.send", "text": '{"joined": true}'})
    while (event := await receive())["type"] != "websocket.disconnect":
        await layer.group_send("lock", {"type": "websocket.send", "text": event["text"]})
    await layer.group_discard("lock", me)


async def tutorial(layer, me, receive, send):
    """As the tutorial of Channels does it: join, accept, and then speak to all."""
    mine = me.replace("!", ".")
    await layer.group_add(mine, me)
    await send({"type": "websocket.accept"})
    await layer.group_send(mine, {"type": "websocket.send", "text": "1"})
    await send({"type": "websocket.send", "text": "2"})
    await layer.send(me, {"type": "websocket.send", "text": "3"})
    await layer.group_send(mine, {"type": "websocket.send", "text": "4"})
    await receive()
