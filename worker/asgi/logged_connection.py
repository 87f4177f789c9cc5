"""Lets every log record of an application instance have the reply channel of its connection.

Used where `--log-format json` or `--log-config` asks for it: an application that is not wrapped pays nothing for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from channel_layer.log_format.logged_connection import LOGGED_CONNECTION
from channel_layer.protocol.events import Event
from worker.asgi.instance import Application


def logged_asgi(application: Application) -> Application:
    """The ASGI 3 application, which names its connection in its tasks, and in the sync threads that they call."""

    async def logged(
        scope: Event, receive: Callable[[], Awaitable[Event]], send: Callable[[Event], Awaitable[None]]
    ) -> None:
        channel = scope.get("extensions", {}).get("towpath.channel")
        if channel is not None:  # none belongs to the lifespan, nor to messages of a shared channel
            LOGGED_CONNECTION.set(channel["reply_channel"])
        await application(scope, receive, send)

    return logged


def logged_wsgi(application: Callable[..., Any]) -> Callable[..., Any]:
    """The WSGI application, which names its connection in the context of its call."""

    def logged(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        LOGGED_CONNECTION.set(environ["towpath.reply_channel"])
        return application(environ, start_response)

    return logged
