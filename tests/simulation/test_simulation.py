"""Both processes, as they are shipped, on virtual time between a simulated network and simulated clients.

`SIMULATION_SCHEDULES` says how many schedules run, `SIMULATION_FROM` where to begin: CI or a long night may look further than a developer.
"""

from __future__ import annotations

import os

import pytest

from tests.simulation.schedules import run, story

SCHEDULES = int(os.environ.get("SIMULATION_SCHEDULES", "320"))
FIRST = int(os.environ.get("SIMULATION_FROM", "0"))
PARTS = 8


@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_is_killed_stopped_cut_or_lost_the_promises_hold(part: int) -> None:
    """P1 to P3, P5 to P9, P11, and nobody hangs: whatever dies, pauses, drains, loses connections, answers, or its data."""
    for seed in range(FIRST + part, FIRST + SCHEDULES, PARTS):
        world, broken = run(str(seed))
        assert not broken, story(str(seed), world, broken)


@pytest.mark.parametrize("part", range(PARTS))
def test_the_promises_hold_when_redis_is_emptied_while_it_runs(part: int) -> None:
    """P1, P2, P3, P5, P6, P8, P9, P11: everything is gone, and nobody has lost a connection to learn it from."""
    for seed in range(FIRST + part, FIRST + SCHEDULES // 2, PARTS):
        world, broken = run(f"flushes {seed}")
        assert not broken, story(f"flushes {seed}", world, broken)


@pytest.mark.parametrize("kind", ["storms", "storms, flushes"])
def test_the_promises_hold_when_one_thing_goes_wrong_after_the_other(kind: str) -> None:
    """P1 to P3, P5 to P9, P11: what is still being put right is hit again."""
    for seed in range(FIRST, FIRST + SCHEDULES // 5):
        world, broken = run(f"{kind} {seed}")
        assert not broken, story(f"{kind} {seed}", world, broken)


@pytest.mark.parametrize("kind", ["sticky", "sticky, flushes", "sticky, storms"])
def test_the_promises_hold_where_clients_stay_with_one_worker(kind: str) -> None:
    """P1 to P3, P5 to P9, P11: also who waits for a worker that leaves or dies hangs not, and is started once."""
    for seed in range(FIRST, FIRST + SCHEDULES // 5):
        world, broken = run(f"{kind} {seed}")
        assert not broken, story(f"{kind} {seed}", world, broken)


@pytest.mark.parametrize(
    "kind",
    [
        "direct",
        "direct, storms",
        "direct, flushes",
        "direct, full",
        "direct, rush, full, storms",
        "direct, rush, drains",
        "direct, rush, kills",
        "direct, rush, storms",
    ],
)
def test_the_promises_hold_where_workers_invite(kind: str) -> None:
    """P1 to P3, P5 to P9, P11: requests that are sent directly are begun once, and none is lost with a worker that leaves."""
    for seed in range(FIRST, FIRST + SCHEDULES // (20 if "rush" in kind else 8)):
        world, broken = run(f"{kind} {seed}")
        assert not broken, story(f"{kind} {seed}", world, broken)


@pytest.mark.parametrize("kind", ["full", "full, sticky"])
def test_the_promises_hold_when_redis_is_full(kind: str) -> None:
    """P1 to P3, P5 to P9, P11: what is refused is sent again, or its client learns at once that nothing was begun."""
    for seed in range(FIRST, FIRST + SCHEDULES // 8):
        world, broken = run(f"{kind} {seed}")
        assert not broken, story(f"{kind} {seed}", world, broken)


@pytest.mark.parametrize("kind", ["talks", "storms, talks"])
def test_what_an_instance_says_by_two_ways_reaches_its_client_in_order(kind: str) -> None:
    """P1, P5, P10: by send(), by its reply channel and by a group; before the accept, between two owners, and with Redis in trouble."""
    for seed in range(FIRST, FIRST + SCHEDULES // 32):
        world, broken = run(f"{kind} {seed}")
        assert not broken, story(f"{kind} {seed}", world, broken)


def test_a_schedule_is_the_same_each_time() -> None:
    """A failing seed is a bug report: it must tell the same story again."""
    assert run("11")[0].record.told == run("11")[0].record.told
