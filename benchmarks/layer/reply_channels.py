"""The group as Towpath's own applications have it: its members are reply channels, so that no code runs for a delivery."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from channel_layer import get_channel_layer

GROUP = "room"


async def room(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """What one member sends goes to all."""
    await receive()
    await get_channel_layer().group_add(GROUP, scope["extensions"]["towpath.channel"]["reply_channel"])
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await get_channel_layer().group_send(GROUP, message(event["text"]))


def message(text: str) -> dict[str, Any]:
    """What is sent to the group, so that its members are sent `text`."""
    return {"type": "websocket.send", "text": text}


__all__ = ["GROUP", "get_channel_layer", "message", "room"]
