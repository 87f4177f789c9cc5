"""Which connection the running code is an application instance of.

An instance that was replaced may still be running its last lines. What it says about its own channel must not touch what its
successor has said since; so its words carry the epoch in which it was started, wherever in its tasks and threads they are said.
"""

from __future__ import annotations

from contextvars import ContextVar

#: (node, number, epoch) of the WebSocket whose instance this is; nothing outside of instances.
OWN_CONNECTION: ContextVar[tuple[str, int, int] | None] = ContextVar("towpath_own_connection", default=None)


def epoch_of(node: str, number: int) -> int:
    """The epoch in which the running instance was started, if the connection is its own; else 0."""
    own = OWN_CONNECTION.get()
    return own[2] if own is not None and own[:2] == (node, number) else 0
