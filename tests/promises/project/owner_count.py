"""Sockets that can be handed over, and tell on request how many workers they have had, and which is theirs now."""

from __future__ import annotations

import os


async def application(scope, receive, send):
    assert scope["type"] == "websocket"
    workers = scope["extensions"]["towpath.resume"].get("state", 0) + 1
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept", "resumable": True})
    await send({"type": "towpath.state", "state": workers})
    while (await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": f"{workers} {os.getpid()}"})
