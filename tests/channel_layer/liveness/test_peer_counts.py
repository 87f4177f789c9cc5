"""How many connections are shared with each peer, and so which peers are watched."""

from __future__ import annotations

from channel_layer.liveness.peer_counts import PeerCounts


def test_peers_are_watched_as_long_as_connections_are_shared_with_them() -> None:
    """One lease per process, whatever the number of connections."""
    watched: list[str] = []
    peers = PeerCounts(watched, watched.append)
    for _ in range(3):
        peers.acquire("a")
    peers.acquire("b")
    peers.release("a")
    assert peers.watched() == watched == ["a", "b"]
    peers.release("b")
    peers.release("b")
    assert peers.watched() == ["a"]


def raises(node: str) -> None:
    raise AssertionError(f"{node} is watched")


def test_what_is_taken_from_the_queue_of_the_dead_is_not_forgotten_with_what_they_had() -> None:
    """P8. Instances of the dead end in their own time; one that was started after it must be told as well."""
    peers = PeerCounts({"dead"}, watch=raises)
    for _ in range(2):
        peers.acquire("dead")
    peers.process_death("dead")
    assert "dead" not in peers
    peers.acquire("dead")
    peers.release("dead")
    peers.release("dead")
    assert "dead" in peers
    peers.release("dead")
    assert "dead" not in peers and peers.watched() == []
