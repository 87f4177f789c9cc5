"""Reloads and scalings, one after the other: no worker ends up with many more resumable sockets than the others. P7."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.simulation.spread import SpreadWorld
from worker.placement.placement import bound_of

SOCKETS = 700
#: Nobody comes or goes for so long: what is beyond the bound is handed over by then.
CALM_S = 12.0


@pytest.fixture
def world() -> Iterator[SpreadWorld]:
    world = SpreadWorld("1")
    yield world
    world.end()


def spread(world: SpreadWorld) -> str:
    """How many sockets each worker has, if one has too many."""
    counts = world.counts()
    assert sum(counts) == SOCKETS, "each socket has one owner"
    bound = bound_of(SOCKETS / len(counts))
    return "" if max(counts) <= bound else f"{counts}, where {bound:.0f} is the bound"


def moved(world: SpreadWorld) -> Counter[int]:
    """How many sockets have moved how often since this was asked before."""
    moves = Counter(world.moves.values())
    world.moves.clear()
    return moves


def test_no_number_of_reloads_and_scalings_unbalances_a_fleet(world: SpreadWorld) -> None:
    """P7. Each reload moves each socket once, and leaves no worker with more than 1.25 times the mean.

    First come, first served gave the first new worker nearly all in the third reload, and what came with a scaling nothing at all.
    """
    world.begin(4, SOCKETS)
    moved(world)
    for _ in range(3):
        world.reload()
        world.wait(1.0)
        assert not spread(world)
        assert moved(world) == {1: SOCKETS}
    world.scale(8)
    world.wait(CALM_S)
    assert not spread(world), "those that have too many hand some over to the new ones"
    assert set(moved(world)) == {1}
    world.reload()
    world.wait(1.0)
    assert not spread(world)
    assert moved(world) == {1: SOCKETS}


def test_what_a_reload_of_an_unbalanced_fleet_leaves_is_levelled_afterwards(world: SpreadWorld) -> None:
    """P7. Reloaded in the moment in which it was scaled: the bound holds soon after, and few sockets have moved twice."""
    world.begin(2, SOCKETS)
    world.scale(4)
    moved(world)
    world.reload()
    world.wait(2 * CALM_S)
    assert not spread(world)
    assert set(moved(world)) <= {1, 2}


def test_a_request_levels_a_fleet_within_ten_seconds_and_moves_no_socket_twice(world: SpreadWorld) -> None:
    """P7. It waits only until the figures of the new workers are known."""
    world.begin(1, SOCKETS)
    world.scale(4)
    moved(world)
    for _ in range(10):
        world.rebalance()
        world.wait(1.0)
    assert not spread(world)
    assert set(moved(world)) == {1}


def test_a_client_that_is_tied_to_a_worker_stays_with_it_when_the_fleet_grows() -> None:
    """P7. Under --sticky a socket's session is in its worker: others take it when that leaves, and not to have more alike."""
    world = SpreadWorld("1", sticky="cookie")
    world.begin(2, 300)
    before = world.counts()
    world.scale(4)
    world.wait(CALM_S)
    assert world.counts() == [*before, 0, 0]
    world.end()
