"""A page, and sockets that can be handed over and tell on request how many workers they have had, and which is theirs now."""

from __future__ import annotations

import os


async def application(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})
    elif scope["type"] == "websocket":
        owners = scope["extensions"]["towpath.resume"].get("state", 0) + 1
        await receive()
        await send({"type": "websocket.accept", "resumable": True})
        await send({"type": "towpath.state", "state": owners})
        while (await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": f"{owners} {os.getpid()}"})
    else:
        raise NotImplementedError
