"""An echo of bodies, and a room in which all hear what one says."""

from __future__ import annotations

from channel_layer import get_channel_layer


async def application(scope, receive, send):
    if scope["type"] == "http":
        body, more = b"", True
        while more:
            event = await receive()
            body, more = body + event.get("body", b""), event.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})
        return
    assert scope["type"] == "websocket"
    layer = get_channel_layer()
    await receive()
    await send({"type": "websocket.accept"})
    await layer.group_add("room", scope["extensions"]["towpath.channel"]["reply_channel"])
    while (event := await receive())["type"] != "websocket.disconnect":
        await layer.group_send("room", {"type": "websocket.send", "text": event["text"]})
