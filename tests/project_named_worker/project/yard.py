"""An application whose project has modules of the same names as the server's own packages."""

import importlib
import json

import towpath_settings

import channel_layer
import interface_server
import worker


async def application(scope, receive, send):
    assert scope["type"] == "http"
    tools = importlib.import_module("worker.tools")
    found = {
        "roster": worker.ROSTER,
        "tool": tools.TOOL,
        "office": interface_server.ANSWER,
        "yard": towpath_settings.YARD,
        "layer": hasattr(channel_layer, "get_channel_layer"),
    }
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(found).encode()})
