"""Running schedules: one seed, one world, and what it has broken."""

from __future__ import annotations

from tests.simulation.invariants import keys_without_ttl, leaks, unsettled, violations
from tests.simulation.rules import switched_off
from tests.simulation.world import World


def run(seed: str) -> tuple[World, list[str]]:
    """Let one schedule happen, then everybody go; the world, and all that it has broken."""
    world = World(seed)
    world.run(unsettled)
    if leaks(world):
        world.wait(1.0)  # a command may be under way at this very moment, and not for long
    broken = violations(world)
    world.leave()
    broken += keys_without_ttl(world)
    world.end()
    return world, broken


def first_broken_without(rule: str, seeds: list[str]) -> str | None:
    """The first of `seeds` whose schedule breaks something when `rule` is switched off."""
    with switched_off(rule):
        return next((seed for seed in seeds if run(seed)[1]), None)


def story(seed: str, world: World, broken: list[str]) -> str:
    """What happened, and how to see it again."""
    lines = [*world.record.told, "", *broken, "", f"again, alone: python -m tests.simulation {seed}"]
    return f"the schedule of seed {seed}\n" + "\n".join(lines)
