"""An application that calls its channel layer too early: while it is imported, and in its lifespan startup. Then it waits for messages."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from channel_layer import LayerUnavailable, get_channel_layer

layer = get_channel_layer()


async def too_early(when: str) -> None:
    for call in (layer.group_send("room", {"type": "test"}), layer.new_channel(), layer.receive("work"), layer.start()):
        try:
            await call
        except LayerUnavailable as error:
            print(f"{when}: {error}", flush=True)


thread = threading.Thread(target=lambda: asyncio.run(too_early("imported")))
thread.start()
thread.join()


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await too_early("startup")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await layer.send("ended", {"type": "shutdown", "counters": dict(layer.counters)})
        await send({"type": "lifespan.shutdown.complete"})
        return
    while True:
        message = await receive()
        async with layer as same:  # closing does nothing in a worker
            await same.send(message["reply"], {"type": "done", "own": layer is get_channel_layer()})
