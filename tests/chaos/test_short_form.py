"""Some of the plays, so that `make test` knows when one of the promises breaks under trouble. All of them: `make chaos`."""

from __future__ import annotations

import secrets
from itertools import product
from pathlib import Path

import pytest

from tests.chaos.harm import Action, Victim
from tests.chaos.performance import perform
from tests.chaos.scenarios import SCENARIOS, Moment

#: Other tests run on the same cores: that all answer again can be seen here, how soon is for `make chaos`.
AT_LAST_S = 40.0
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


@pytest.mark.parametrize(
    "name", ["worker-kill", "interface-kill", "redis-kill", "handed-redis-sever", "read-worker-kill-interface-kill"]
)
async def test_whoever_is_hit_only_those_suffer_who_had_a_part_in_it(tmp_path: Path, name: str) -> None:
    """P1, P2, P3, P6, P8, P9, P11. A failure shows the seed with which the same blows fall again."""
    report = await perform(BY_NAME[name], secrets.token_hex(4), tmp_path, AT_LAST_S)
    assert not report.faults, f"{report}\n`make chaos SCENARIOS={name} SEED={report.seed}`"


def test_everybody_is_hit_in_every_way() -> None:
    """What the table leaves out nobody plays."""
    played = {(step.victim, step.action) for scenario in SCENARIOS for step in scenario.steps}
    hits = (Action.KILL, Action.FREEZE, Action.TERM, Action.BLOCK)
    assert played >= {(victim, hit) for victim in (Victim.WORKER, Victim.INTERFACE, Victim.REDIS) for hit in hits}
    assert played >= {(Victim.REDIS, hit) for hit in (Action.SEVER, Action.FILL, Action.DEMOTE)}
    assert played >= {(Victim.PRIMARY, hit) for hit in (Action.KILL, Action.FREEZE, Action.MOVE, Action.SEVER)}
    assert played >= {(Victim.SERVE, Action.KILL), (Victim.SUPERVISOR, Action.KILL), (Victim.SUPERVISOR, Action.FREEZE)}
    at = {(scenario.moment, step.victim, step.action) for scenario in SCENARIOS for step in scenario.steps}
    wanted = {
        *product((Victim.WORKER, Victim.INTERFACE), hits),
        *product((Victim.REDIS,), (Action.KILL, Action.FREEZE)),
    }
    moments = set(Moment) - {Moment.ANY}
    assert not {(moment, *blow) for moment in moments for blow in wanted} - at


def test_no_two_plays_have_one_name() -> None:
    """It says which is to be played again."""
    assert len(BY_NAME) == len(SCENARIOS)
