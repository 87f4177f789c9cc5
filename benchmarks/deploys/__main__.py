"""`python -m benchmarks.deploys`: every run at every server that it makes sense at, and a section of the page of results.

Exit code 0, whatever was not reached; 1 if a run failed: a server that did not start or could not be reloaded, clients that
did not come as far as they should before the first blow.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import uvloop

from benchmarks import machine, report
from benchmarks.deploys import page
from benchmarks.deploys.load import Size
from benchmarks.deploys.runs import ALL, RUNS, Run
from benchmarks.run import DEPLOYS, RESULTS, deploys, positive, said, some_of
from benchmarks.servers import ServerFailed
from benchmarks.turns import LoadFailed


def main() -> int:
    options = parse()
    machine.raise_descriptor_limit()
    size = Size(
        options.seconds, options.clients, options.sockets, moving=options.moving, reloads=options.reloads,
        seed=options.seed,
    )  # fmt: skip
    terms = [
        f"{size.clients} HTTP clients that pause 50 to 100 ms between two requests, GET and POST by turns; {size.sockets} "
        "WebSockets that say a number every 200 ms, whether or not the last one is back",
        f"{size.seconds:g} s; a deploy every {size.reload_every_s:g} s, a kill every {size.kill_every_s:g} s; hand-offs of "
        f"{size.moving} sockets in {size.reloads} reloads",
    ]
    parts, failed = [page.header(machine.described(), terms)], False
    for run in [run for run in RUNS if run.name in options.runs]:
        outcome = play(run, [name for name in run.servers if name in options.servers], size)
        failed = failed or bool(outcome.failures)
        parts.append(page.section(outcome))
        print("\n" + parts[-1], flush=True)
    if options.output is not None:
        options.output.write_text("\n".join(parts))
    if options.output == DEPLOYS and RESULTS.exists():
        RESULTS.write_text(report.with_deploys(RESULTS.read_text(), deploys()))
    return 1 if failed else 0


def play(run: Run, servers: list[str], size: Size) -> page.Outcome:
    outcome = page.Outcome(run.title, run.about, run.demands)
    for name in servers:
        try:
            outcome.figures[name] = uvloop.run(run.play(name, size))
        except (LoadFailed, ServerFailed, TimeoutError, OSError, ExceptionGroup) as failure:
            outcome.failures.append(f"{name}: {said(failure)}")
            print(f"{run.name} {name}: FAILED: {said(failure)}", flush=True)
        else:
            figures = ", ".join(f"{key} {page.shown(value)}" for key, value in outcome.figures[name].items())
            print(f"{run.name} {name}: {figures}", flush=True)
    return outcome


def parse() -> argparse.Namespace:
    names, usual = [run.name for run in RUNS], Size()
    parser = argparse.ArgumentParser(prog="benchmarks.deploys", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=positive(float), default=usual.seconds, help="of the runs deploys and kills")
    parser.add_argument("--runs", type=some_of(names), default=names, help=",".join(names))
    parser.add_argument("--servers", type=some_of(list(ALL)), default=list(ALL), help=",".join(ALL))
    parser.add_argument("--clients", type=positive(int), default=usual.clients, help="of HTTP")
    parser.add_argument("--sockets", type=positive(int), default=usual.sockets)
    parser.add_argument("--moving", type=positive(int), default=usual.moving, help="sockets of the run moves")
    parser.add_argument("--reloads", type=positive(int), default=usual.reloads, help="of the run moves")
    parser.add_argument(
        "--seed", type=int, default=usual.seed, help="for the choice of the killed processes and of all pauses"
    )
    parser.add_argument(
        "--output", type=Path, help="default: DEPLOYS.md, and from there RESULTS.md, after a run of everything"
    )
    options = parser.parse_args()
    if options.output is None and all(
        getattr(options, name) == parser.get_default(name) for name in vars(options) if name not in ("output", "seed")
    ):
        options.output = DEPLOYS
    return options


if __name__ == "__main__":
    sys.exit(main())
