"""All plays, as often as is wished: `python -m tests.chaos [--seed SEED] [--rounds N] [SCENARIO …]`."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.performance import perform
from tests.chaos.scenarios import SCENARIOS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", default="", help="drawn and printed, if none is given")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="all, if none is named")
    asked = parser.parse_args()
    unknown = set(asked.scenarios) - {scenario.name for scenario in SCENARIOS}
    if unknown:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    seed = asked.seed or secrets.token_hex(4)
    wanted = [scenario for scenario in SCENARIOS if not asked.scenarios or scenario.name in asked.scenarios]
    print(f"chaos: SEED={seed} ROUNDS={asked.rounds}", flush=True)
    failed = 0
    for number in range(asked.rounds):
        for scenario in wanted:
            folder = Path(tempfile.mkdtemp(prefix=f"towpath-chaos-{scenario.name}-"))
            report = asyncio.run(perform(scenario, seed if number == 0 else f"{seed}-{number}", folder))
            failed += bool(report.faults)
            print(f"{'FAILED' if report.faults else 'kept'} {report}", flush=True)
            if report.faults:
                print(f"  logs and traces: {folder}", flush=True)
            else:
                shutil.rmtree(folder)
    print(f"chaos: {failed} of {asked.rounds * len(wanted)} failed; SEED={seed}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
