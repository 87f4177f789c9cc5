"""The connection whose application instance the running code belongs to, and the order of what it sends.

An instance that was replaced may still run its last lines. Its packets to its own channel must not affect those that its
successor has sent since. So they carry the epoch in which it was started, from whichever of its tasks and threads they come.
`OwnDownstream` keeps the order between what it sends by the layer and by its own `send`.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol

from channel_layer.protocol.packets import Origin

#: Node, number and epoch of a connection.
Key = tuple[str, int, int]

#: The WebSocket of the running instance; None outside of instances.
CURRENT_CONNECTION: ContextVar[Key | None] = ContextVar("towpath_current_connection", default=None)


class OwnDownstream(Protocol):
    """The connection of an instance to its own client, as far as the layer uses it."""

    def next_origin(self) -> Origin | None:
        """Post all that the instance has sent so far, and return the position of the layer's next message. None: the connection
        is over.
        """


def epoch_of(node: str, number: int) -> int:
    """The epoch of the running instance if the connection is its own, else 0."""
    own = CURRENT_CONNECTION.get()
    return own[2] if own is not None and own[:2] == (node, number) else 0
