"""The group as users of Django Channels write it: the consumer of its tutorial, less its JSON, and no line for any server."""

from __future__ import annotations

import os
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer  # type: ignore[import-untyped]  # Channels brings no types
from channels.layers import get_channel_layer  # type: ignore[import-untyped]  # Channels brings no types
from django.conf import settings  # type: ignore[import-untyped]  # Django brings no types
from layer.layers import setting

settings.configure(
    SECRET_KEY="only for the bench", CHANNEL_LAYERS=setting(os.environ["BENCH_LAYER"], os.environ["BENCH_REDIS"])
)

GROUP = "room"


class Room(AsyncWebsocketConsumer):  # type: ignore[misc]  # Channels brings no types
    """What one member sends goes to all."""

    async def connect(self) -> None:
        await self.channel_layer.group_add(GROUP, self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(GROUP, self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.channel_layer.group_send(GROUP, message(text_data or ""))

    async def chat_message(self, event: dict[str, Any]) -> None:
        await self.send(text_data=event["text"])


def message(text: str) -> dict[str, Any]:
    """What is sent to the group, so that its members send `text`."""
    return {"type": "chat.message", "text": text}


room = Room.as_asgi()

__all__ = ["GROUP", "get_channel_layer", "message", "room"]
