"""All plays, as often as is wished: `python -m tests.chaos [--seed SEED] [--rounds N] [SCENARIO …]`."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.performance import perform
from tests.chaos.scenarios import SCENARIOS, Scenario


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", default="", help="drawn and printed, if none is given")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=2, help="plays that go on at the same time")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="all, if none is named")
    asked = parser.parse_args()
    unknown = set(asked.scenarios) - {scenario.name for scenario in SCENARIOS}
    if unknown:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    seed = asked.seed or secrets.token_hex(4)
    plays = [
        (scenario, seed if number == 0 else f"{seed}-{number}")
        for number in range(asked.rounds)
        for scenario in SCENARIOS
        if not asked.scenarios or scenario.name in asked.scenarios
    ]
    print(f"chaos: SEED={seed} ROUNDS={asked.rounds}", flush=True)
    failed = asyncio.run(_play_all(plays, asked.at_once))
    print(f"chaos: {failed} of {len(plays)} failed; SEED={seed}", flush=True)
    return 1 if failed else 0


async def _play_all(plays: Sequence[tuple[Scenario, str]], at_once: int) -> int:
    """How many have failed. While one play waits for a lease to end another may go on."""
    places = asyncio.Semaphore(at_once)

    async def play(scenario: Scenario, seed: str) -> bool:
        async with places:
            return await _play(scenario, seed)

    return sum(await asyncio.gather(*(play(*one) for one in plays)))


async def _play(scenario: Scenario, seed: str) -> bool:
    """Whether it has failed; its logs and traces stay then."""
    folder = Path(tempfile.mkdtemp(prefix=f"towpath-chaos-{scenario.name}-"))
    report = await perform(scenario, seed, folder)
    if report.faults:
        print(f"FAILED {report}\n  logs and traces: {folder}", flush=True)
    else:
        print(f"kept {report}", flush=True)
        shutil.rmtree(folder)
    return bool(report.faults)


if __name__ == "__main__":
    sys.exit(main())
