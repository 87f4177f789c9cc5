"""How many processes receive from a channel."""

from __future__ import annotations

from typing import Any

from channel_layer.protocol.keys import HTTP_CHANNEL
from channel_layer.protocol.names import BLOCKING_ROLE
from towpath.status.receivers import READS_WITHIN_MS, Receivers

LEASES: list[dict[str, Any]] = [
    {"node": "worker.a", "role": "worker"},
    {"node": "worker.b", "role": "worker"},
    {"node": "worker.c", "role": "background", "channels": "thumbnails email.*", "dead_letter": "email.dead"},
    {"node": "worker.d", "role": "background", "channels": "thumbnails", "dead_letter": None},
    {"node": "layer.e", "role": "layer"},
]


def reads(*names: str, idle_ms: int = 0) -> list[dict[str, Any]]:
    return [{"name": name.encode(), "pending": 0, "idle": idle_ms} for name in names]


def test_a_background_worker_receives_from_its_channels_also_while_it_is_busy() -> None:
    """Those of a name, and those that match its pattern; never from the channel of its own dead letters."""
    receivers = Receivers(LEASES)
    counts = {name: receivers.count(name, ()) for name in ("thumbnails", "email.welcome", "email.dead", "others")}
    assert counts == {"thumbnails": 2, "email.welcome": 1, "email.dead": 0, "others": 0}
    assert receivers.count("thumbnails", reads("worker.c", "worker.d")) == 2


def test_other_processes_receive_if_they_live_and_have_just_read() -> None:
    """All blocking clients are one consumer, which has no lease."""
    receivers = Receivers(LEASES)
    assert receivers.count("others", reads("layer.e", "layer.dead", BLOCKING_ROLE)) == 2
    assert receivers.count("others", reads("layer.e", BLOCKING_ROLE, idle_ms=READS_WITHIN_MS)) == 0


def test_connections_are_received_by_workers() -> None:
    assert Receivers(LEASES).count(HTTP_CHANNEL, reads("worker.a", idle_ms=READS_WITHIN_MS)) == 2


def test_the_channels_that_leases_name_have_no_patterns() -> None:
    receivers = Receivers(LEASES)
    assert receivers.named == ["email.dead", "thumbnails"] and receivers.dead_letters == {"email.dead"}


def test_a_lease_of_a_stranger_harms_nothing() -> None:
    """P12. It may hold anything."""
    receivers = Receivers(
        [{"node": "x"}, {"node": 5, "channels": 7, "dead_letter": [1]}, {"node": "y", "channels": "[ [z-a]"}]
    )
    assert receivers.count("7", [{"name": b"\xff", "pending": 0, "idle": 0}]) == 1
