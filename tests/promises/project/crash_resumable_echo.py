"""Echoes that may be taken over after a crash: /crash asks for it, /true for planned hand-off alone.

Each message counts, and the count is left for the next instance; "die" kills the worker as soon as it is consumed.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

TRACES = Path(os.environ["TRACES"])


def trace(name: str, line: str) -> None:
    with (TRACES / name).open("a") as file:
        file.write(line + "\n")


async def application(scope, receive, send):
    assert scope["type"] == "websocket"
    count = scope["extensions"]["towpath.resume"].get("state") or 0
    assert (await receive())["type"] == "websocket.connect"
    trace("started", scope["path"])
    await send({"type": "websocket.accept", "resumable": "crash" if scope["path"] == "/crash" else True})
    while (event := await receive())["type"] == "websocket.receive":
        trace("consumed", event["text"])
        if event["text"].startswith("die"):
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1
        await send({"type": "towpath.state", "state": count})
        await send({"type": "websocket.send", "text": f"{event['text']} {count} {os.getpid()}"})
