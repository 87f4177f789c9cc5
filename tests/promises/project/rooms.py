"""A room in a few lines: whoever connects joins, and whatever one says all hear."""

from __future__ import annotations

from channel_layer import get_channel_layer


async def application(scope, receive, send):
    assert scope["type"] == "websocket"
    layer = get_channel_layer()
    me = scope["extensions"]["towpath.channel"]["reply_channel"]
    await receive()
    await send({"type": "websocket.accept"})
    await layer.group_add("lock", me)
    await layer.send(me, {"type": "websocket.send", "text": '{"joined": true}'})
    while (event := await receive())["type"] != "websocket.disconnect":
        await layer.group_send("lock", {"type": "websocket.send", "text": event["text"]})
    await layer.group_discard("lock", me)
