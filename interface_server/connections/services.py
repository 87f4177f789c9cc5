"""The dispatcher, as the connections that it makes use it.

A connection knows no more of the dispatcher than this. PROTOCOL.md, "The life of a connection".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from channel_layer.protocol.flow_control import Budget
from channel_layer.protocol.packets import Packet
from interface_server.affinity.affinity import Affinity
from interface_server.connections.connection import Connection
from interface_server.connections.direct_dispatch import DirectDispatch
from interface_server.connections.pending_queue import PendingQueue
from interface_server.groups.deliveries import Deliveries
from interface_server.groups.group_members import GroupMembers


class ConnectionServices(Protocol):
    """Implemented by the dispatcher, for all of its connections."""

    post: Callable[[str, Packet], None]
    """Sends a packet to the process of this name."""
    acquire_peer: Callable[[str], None]
    """Counts a connection that is shared with the worker of this name, and watches that worker."""
    release_peer: Callable[[str], None]
    """Counts one connection less: it goes on without this worker."""
    pause_over: Callable[[float], None]
    """Told for how many seconds a client was not read, when it is read again."""
    name: str
    """Of this process, in front of the `!` of its reply channels."""
    counters: Counter[str]
    budget: Budget
    queue: PendingQueue
    deliveries: Deliveries
    members: GroupMembers
    affinity: Affinity | None
    direct: DirectDispatch
    draining: bool
    answer_may_be_late: bool
    """True if HTTP clients learn of an adoption too, since their answers have a timeout."""

    def remove(self, connection: Connection) -> None:
        """Remove a connection that is done. A second call does nothing."""

    def after_accept_timeout(self, callback: Callable[[int], None], epoch: int) -> None:
        """Call `callback(epoch)` when an owner has had long enough to accept a WebSocket."""
