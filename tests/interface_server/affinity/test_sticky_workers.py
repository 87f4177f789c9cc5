"""Sticky workers: listed while their leases are, announced at once, and gone for good when they leave."""

from __future__ import annotations

from interface_server.affinity.sticky_workers import LEFT_MAX, LISTED_FOR_S, StickyWorkers


def test_a_worker_is_known_from_its_announcement_on() -> None:
    """A list of leases comes once a second; connections come all the while."""
    workers = StickyWorkers()
    workers.announced("worker.1", 10.0)
    assert "worker.1" in workers and list(workers) == ["worker.1"] and len(workers) == 1


def test_an_older_list_does_not_take_back_a_newer_announcement() -> None:
    workers = StickyWorkers()
    workers.announced("worker.1", 10.0)
    workers.listed([], 10.1)
    assert "worker.1" in workers


def test_a_worker_that_no_list_has_named_for_a_while_is_known_no_longer() -> None:
    workers = StickyWorkers()
    workers.listed(["worker.1", "worker.2"], 10.0)
    workers.listed(["worker.2"], 10.0 + LISTED_FOR_S)
    assert set(workers) == {"worker.1", "worker.2"}
    workers.listed(["worker.2"], 10.1 + LISTED_FOR_S)
    assert set(workers) == {"worker.2"}


def test_a_worker_that_has_left_does_not_come_back_with_a_list_or_an_announcement() -> None:
    """P2. Its lease may be listed once more."""
    workers = StickyWorkers()
    workers.announced("worker.1", 10.0)
    workers.left("worker.1")
    workers.listed(["worker.1"], 10.5)
    workers.announced("worker.1", 11.0)
    assert not workers


def test_leaving_before_the_announcement_counts_too() -> None:
    """The two may come in either order."""
    workers = StickyWorkers()
    workers.left("worker.1")
    workers.left("worker.1")
    workers.announced("worker.1", 10.0)
    assert "worker.1" not in workers


def test_the_names_of_those_that_left_are_bounded_and_the_oldest_go_first() -> None:
    """P5. By then no lease of it is left."""
    workers = StickyWorkers()
    for number in range(LEFT_MAX + 1):
        workers.left(f"worker.{number}")
    workers.listed([f"worker.{number}" for number in range(LEFT_MAX + 1)], 10.0)
    assert list(workers) == ["worker.0"]
