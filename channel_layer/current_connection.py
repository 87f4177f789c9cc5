"""Which connection the running code is an application instance of, and where its words to its own client stand.

An instance that was replaced may still be running its last lines. What it says about its own channel must not touch what its
successor has said since; so its words carry the epoch in which it was started, wherever in its tasks and threads they are said.
What it says through the layer and what it sends reach its own client in the order in which it said them: `OwnDownstream`.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol

from channel_layer.protocol.packets import Origin

#: Node, number and epoch of a connection.
Key = tuple[str, int, int]

#: The WebSocket whose instance this is; nothing outside of instances.
CURRENT_CONNECTION: ContextVar[Key | None] = ContextVar("towpath_own_connection", default=None)


class OwnDownstream(Protocol):
    """An instance's line to its own client, as far as the layer uses it."""

    def next_origin(self) -> Origin | None:
        """Post all that the instance has sent so far, and count what the layer is about to say behind it. None: the line is over."""


def epoch_of(node: str, number: int) -> int:
    """The epoch in which the running instance was started, if the connection is its own; else 0."""
    own = CURRENT_CONNECTION.get()
    return own[2] if own is not None and own[:2] == (node, number) else 0
