"""Messages of Channels that are no events of ASGI, carried inside of one that is.

Channels requires a dict and no more: a message may have no `type`, and one that is called `websocket.send` may be meant for the
method `websocket_send` of a consumer and hold anything. Both travel inside of an event with the type WRAPPED.
"""

from __future__ import annotations

from typing import Any

from channel_layer.errors import InvalidMessage
from channel_layer.protocol.events import Event
from channel_layer.protocol.socket_messages import CHECKS, socket_message

WRAPPED = "towpath.wrapped"
_INNER = "message"


def wrapped(message: Event) -> Event:
    """The event that carries `message`; `message` itself where it is one, and where it is no dict, which the layer refuses."""
    if not isinstance(message, dict):
        return message
    kind = message.get("type")
    if type(kind) is str and kind != WRAPPED and (kind not in CHECKS or _is_for_sockets(message)):
        return message
    return {"type": WRAPPED, _INNER: message}


def unwrapped(event: Event) -> dict[str, Any]:
    """The message that `event` carries."""
    message: dict[str, Any] = event[_INNER] if event["type"] == WRAPPED else event
    return message


def _is_for_sockets(message: Event) -> bool:
    """True if nothing of the message would be lost on a socket."""
    try:
        return socket_message(message) == message
    except InvalidMessage:
        return False
