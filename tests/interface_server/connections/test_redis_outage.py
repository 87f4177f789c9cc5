"""Whose patience with a Redis that is away has an end: values, no clock. P9."""

from __future__ import annotations

from channel_layer.protocol.scope import Scope
from channel_layer.settings import RedisSettings
from interface_server.connections.connection import Connection
from interface_server.connections.redis_outage import connections_to_end_after_outage
from interface_server.settings import InterfaceSettings


def connection(kind: str, owned: bool = True, accepted: bool = False) -> Connection:
    held = Connection(1, (Scope({"type": kind, "method": "GET"}), b"", False, False), 1000)
    if owned:
        held.adopt("worker.a", 100)
    if accepted:
        held.filter_events([{"type": "websocket.accept"}])
    return held


QUEUED, EXCHANGE = connection("http", owned=False), connection("http")
HANDSHAKE, SOCKET = connection("websocket"), connection("websocket", accepted=True)
ALL = (QUEUED, EXCHANGE, HANDSHAKE, SOCKET)


def test_what_a_worker_has_in_hand_ends_and_open_websockets_stay() -> None:
    """Who is queued has a wait of its own; who only keeps in touch hangs on."""
    settings = InterfaceSettings(redis_outage_timeout_s=30.0)
    assert connections_to_end_after_outage(ALL, 30.0, settings) == []
    assert connections_to_end_after_outage(ALL, 30.1, settings) == [EXCHANGE, HANDSHAKE]


def test_less_than_a_lease_would_be_a_guess() -> None:
    """A lease is renewed each second, and a slow renewal is no outage."""
    settings = InterfaceSettings(redis=RedisSettings(lease_ttl_s=5.0), redis_outage_timeout_s=0.0)
    assert connections_to_end_after_outage(ALL, 5.0, settings) == []
    assert connections_to_end_after_outage(ALL, 5.1, settings) == [EXCHANGE, HANDSHAKE]
