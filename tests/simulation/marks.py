"""What every event of the simulated world carries: whose it is, from which instance and task, and the how-manieth word of these."""

from __future__ import annotations

import json
from typing import Any

from channel_layer.protocol.events import Event

Mark = dict[str, Any]


def marked(mark: Mark, padding: bytes) -> bytes:
    """A message of a WebSocket that carries `mark`."""
    return json.dumps(mark).encode() + b"\n" + padding


def mark_of(event: Event) -> Mark:
    """What an event towards a client says of itself. HTTP's events carry it as keys of their own."""
    if event["type"] == "websocket.send":
        return dict(json.loads(event["bytes"].partition(b"\n")[0]))
    if event["type"] == "websocket.accept":
        return dict(json.loads(event["headers"][0][1]))
    if event["type"] == "websocket.close":
        return dict(json.loads(event["reason"]))
    return event
