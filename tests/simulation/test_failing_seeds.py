"""What the simulation has found in our own code: the seeds that failed once, and the defects told by themselves.

A seed fixes a schedule only as long as nobody sends a command more or less, so each defect stands here without its seed too: as a rule
(rules.py, FOUND) that the search below must miss when it is switched off, or as a short story of its own.
"""

from __future__ import annotations

from random import Random

import pytest

from channel_layer.redis.address import RedisAddress
from channel_layer.redis.managed_connection import ManagedConnection
from tests.simulation.network import Network
from tests.simulation.process import Process
from tests.simulation.rules import FOUND
from tests.simulation.schedules import first_broken_without, run, story
from tests.simulation.simulated_redis import SimulatedRedis
from tests.simulation.virtual_loop import VirtualClock

SEEDS = ("40", "92", "114", "169", "220", "308", "329", "1006", "1189", "1566", "1716", "3127", "8455")
#: Of these the schedules of deaths, hand-offs and empty restarts.
SEEDS += (
    "253",
    "473",
    "1004",
    "2390",
    "2523",
    "2980",
    "3057",
    "3830",
    "1178",
    "1277",
    "1399",
    "5435",
    "22869",
    "28321",
)
LIKELY = {
    "the outcome of `open` may come when the wait is over": ("1033", "1448"),
    "who did not start a connection is no longer watched for it": ("8", "98"),
    "a loss during the greeting is noticed": ("358", "1146"),
    "what is started again gets its whole body": ("263", "333"),
    "credit is sent again at a resync": ("data losses 46",),
    "in another life of Redis the inbox is read from its beginning": ("358", "1505"),
    "what the last owner sent takes its part of the next window": ("905", "1070"),
    "between two owners an open socket is read": ("72", "129"),
}
SEARCHED_MAX = 600


@pytest.mark.parametrize("seed", SEEDS)
def test_what_failed_once_does_not_fail_again(seed: str) -> None:
    """P1, P2, P3, P8: each of these schedules once broke one of them."""
    world, broken = run(seed)
    assert not broken, story(seed, world, broken)


@pytest.mark.parametrize("rule", LIKELY)
def test_a_defect_that_comes_back_is_found_again(rule: str) -> None:
    """The simulation is no ornament: with our old code it fails."""
    assert rule in FOUND
    assert first_broken_without(rule, [*LIKELY[rule], *map(str, range(SEARCHED_MAX))])


def test_a_connection_that_is_lost_with_its_greeting_is_made_again() -> None:
    """The last answer of the greeting and the loss arrive in one turn of the loop: the link comes back nevertheless (P9)."""
    clock = VirtualClock()
    network = Network(clock, SimulatedRedis(clock), Random("greeting"))
    process = Process(network, "worker")
    network.armed.append((b"", lambda *_: None))
    network.spring = lambda _, pipe, data: pipe.cut() if b"redis_version" in data else None  # type: ignore[assignment,method-assign]
    up: list[object] = []
    link = ManagedConnection(RedisAddress.parse("unix:///simulated"), "test", up.append)

    async def reconnect() -> None:
        await link._reconnect()

    process.loop.call_soon(lambda: process.loop.create_task(reconnect()))
    clock.run_until(2.0)
    assert not up
    network.armed.clear()
    clock.run_until(6.0)
    assert link.connection is not None and link.connection.alive
