"""A plain script: `script.py REDIS CHANNEL TEXT`."""

import sys

import channel_layer

url, channel, text = sys.argv[1:]
with channel_layer.connect_blocking(url) as layer:
    layer.send(channel, {"type": "websocket.send", "text": f"{text} (channel)"})
    layer.group_add("boats", channel)
    layer.group_send("boats", {"type": "websocket.send", "text": f"{text} (group)"})
