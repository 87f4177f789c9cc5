"""The end of patience with a Redis that is away: what workers have in hand ends visibly, and open WebSockets stay.

Think of a telephone line that is dead: whoever has asked something hangs up after a while; whoever only keeps in touch does not. Who is
queued has a wait of its own. PROTOCOL.md, "When Redis comes back"; P9.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from interface_server.connections.connection import Connection
from interface_server.connections.transitions import State
from interface_server.settings import InterfaceSettings

AConnection = TypeVar("AConnection", bound=Connection)


def connections_to_end_after_outage(
    connections: Iterable[AConnection], since_last_renewal_s: float, settings: InterfaceSettings
) -> list[AConnection]:
    """since_last_renewal_s: since our lease was renewed last. That happens each second: less than a lease would be a guess."""
    if since_last_renewal_s <= max(settings.redis_outage_timeout_s, settings.redis.lease_ttl_s):
        return []
    return [held for held in connections if held.state is State.OWNED and not held.accepted]
