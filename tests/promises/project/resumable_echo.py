"""An echo that can be handed over: it counts its messages, and leaves the count for the next instance."""

from __future__ import annotations

import os


async def application(scope, receive, send):
    if scope["type"] != "websocket":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
        return
    left = scope["extensions"]["towpath.resume"].get("state")
    count = left or 0
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept", "resumable": True})
    while (event := await receive())["type"] == "websocket.receive":
        count += 1
        await send({"type": "towpath.state", "state": count})
        await send({"type": "websocket.send", "text": f"{event['text']} {count} {os.getpid()}"})
