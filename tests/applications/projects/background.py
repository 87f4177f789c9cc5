"""An application with background work: it answers each message, fails when asked to, and can be slow."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from asgiref.sync import sync_to_async

from channel_layer import get_channel_layer


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    assert scope["type"] == "channel", scope["type"]
    while True:
        message = await receive()
        layer = get_channel_layer()
        if message["type"] == "fail":
            raise ZeroDivisionError("as asked")
        if message["type"] == "cancel":
            raise asyncio.CancelledError  # as a library lets it escape
        if message["type"] == "echo":
            await layer.send(message["reply"], {"type": "begun", "attempt": message.get("towpath.attempt")})
            await asyncio.sleep(message.get("seconds", 0))
        if message["type"] == "slow":
            await layer.send(message["reply"], {"type": "begun"})
            await asyncio.sleep(message["seconds"])
        if message["type"] == "sync":
            await sync_to_async(time.sleep)(0.01)
        await layer.send(
            message["reply"], {"type": "done", "channel": scope["channel"], "number": message.get("number")}
        )


async def waits_first(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Has something long to do before its first message."""
    print("begun", flush=True)
    await asyncio.sleep(3600)


async def knows_no_channels(scope: dict[str, Any], receive: Any, send: Any) -> None:
    raise ValueError(f"a scope of type {scope['type']}")


async def passes_over_channels(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        raise NotImplementedError


async def stubborn(scope: dict[str, Any], receive: Any, send: Any) -> None:
    assert scope["type"] == "channel"
    message = await receive()
    await get_channel_layer().send(message["reply"], {"type": "begun"})
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass
