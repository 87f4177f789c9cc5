"""What a site without an event loop does with its blocking layer, in whatever process it runs."""

import os

import channel_layer

layer = channel_layer.connect_blocking(os.environ["TOWPATH_REDIS"])
layer.statistics("notifications")  # connects already here, in the process from which servers fork their workers


def notify(channel: str, text: str) -> None:
    """Send `text` to a client, and once more by a group that it joins."""
    layer.send(channel, {"type": "websocket.send", "text": f"{text} (channel)"})
    layer.group_add("boats", channel)
    layer.group_send("boats", {"type": "websocket.send", "text": f"{text} (group)"})
