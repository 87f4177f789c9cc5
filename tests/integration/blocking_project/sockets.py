"""An application of WebSockets that sends nothing by itself but the name of the reply channel."""


async def application(scope, receive, send):
    """Accept, send the name, and wait for the end."""
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": scope["extensions"]["towpath.channel"]["reply_channel"]})
    while (await receive())["type"] != "websocket.disconnect":
        pass
