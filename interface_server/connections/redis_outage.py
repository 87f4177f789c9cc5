"""Which connections to end when Redis has been unreachable for longer than `redis_outage_timeout_s`.

Running exchanges and handshakes end, open WebSockets do not. A queued connection has a timeout of its own.
PROTOCOL.md, "When Redis comes back"; P9.
"""

from __future__ import annotations

from collections.abc import Iterable

from interface_server.connections.connection import Connection
from interface_server.connections.transitions import ConnectionState
from interface_server.settings import InterfaceSettings


def connections_to_end_after_outage(
    connections: Iterable[Connection], since_last_renewal_s: float, settings: InterfaceSettings
) -> list[Connection]:
    """since_last_renewal_s: since the last renewal of our lease. One is due each second, so less than a TTL proves nothing."""
    if since_last_renewal_s <= max(settings.redis_outage_timeout_s, settings.redis.lease_ttl_s):
        return []
    return [held for held in connections if held.state is ConnectionState.OWNED and not held.accepted]
