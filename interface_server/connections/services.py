"""What a connection needs of the dispatcher that made it.

The dispatcher implements it; a connection knows no more of it than this. PROTOCOL.md, "The life of a connection".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from channel_layer.protocol.flow_control import Budget
from channel_layer.protocol.packets import Packet
from interface_server.affinity.affinity import Affinity
from interface_server.connections.connection import Connection
from interface_server.connections.pending_queue import PendingQueue
from interface_server.groups.deliveries import Deliveries
from interface_server.groups.group_members import GroupMembers


class ConnectionServices(Protocol):
    """Implemented by the dispatcher, for all of its connections."""

    post: Callable[[str, Packet], None]
    """Sends a packet to the process of this name."""
    name: str
    """Of this process, in front of the `!` of its reply channels."""
    counters: Counter[str]
    budget: Budget
    queue: PendingQueue
    deliveries: Deliveries
    members: GroupMembers
    affinity: Affinity | None
    draining: bool
    answer_may_be_late: bool
    """HTTP clients hear of an adoption too, as their answers are timed."""

    def adopted(self, connection: Connection) -> None:
        """A worker owns it now: it leaves the queue, and its owner is watched."""

    def release(self, owner: str) -> None:
        """A connection has this owner no more, and goes on."""

    def remove(self, connection: Connection) -> None:
        """It is done. Called again, it does nothing."""

    def after_accept_timeout(self, callback: Callable[[int], None], epoch: int) -> None:
        """Call `callback(epoch)` when an owner has had long enough to accept a WebSocket."""
