"""`python -m benchmarks.run`: every row, in rounds, each round with every contestant in turn, from the same client.

The servers of a round follow one another directly, so that whatever else the machine does hits all of them alike. The
page is written anew after each row. A round on a loud machine is repeated (loudness.py). Exit code 0, whatever goals
were missed; 1 if a run failed: a server that did not start, an answer that was not the expected one, a connection that
was lost.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from math import inf
from pathlib import Path

from benchmarks import machine, report, wrk_load
from benchmarks.deploys.fleet import own_redis
from benchmarks.figures import Sample
from benchmarks.loudness import LOUD, CalmestClient, Round
from benchmarks.report import Outcome
from benchmarks.rows import ROWS
from benchmarks.rows.row import Row, Size, Terms
from benchmarks.servers import BINARIES, COMPILED, COMPILED_BINARIES, ServerFailed
from benchmarks.turns import LoadFailed

HERE = Path(__file__).parent
RESULTS, DEPLOYS = HERE / "RESULTS.md", HERE / "DEPLOYS.md"
#: Of this machine, and of the clients that it has.
CALMEST = HERE.parent / "build" / f"bench-calmest{'-wrk' if wrk_load.WRK else ''}.json"
SPARE_DESCRIPTORS = 500
CONTESTANTS = list(dict.fromkeys(name for row in ROWS for name in row.contestants))
INTERPRETED = [name for name in CONTESTANTS if not name.startswith(COMPILED)]


def main() -> int:
    options = parse()
    rows = [row for row in ROWS if row.name in options.rows]
    size = Size(options.seconds, _affordable(options.sockets), options.mebibytes)
    terms = [
        f"rounds: {options.rounds}, {size.seconds:g} s each, medians (lowest – highest); "
        f"{size.sockets:,} idle sockets, downloads of {size.mebibytes:,} MiB",
        wrk_load.described(),
    ]
    parts, failed = [report.header([*machine.described(), *cores(options.servers)], terms)], False
    calmest = CalmestClient(CALMEST if options.loudness_max < inf else None, options.loudness_max)
    with own_redis() as redis:
        for row in rows:
            outcome = measure(row, options.servers, options.rounds, Terms(size, options.profile, redis), calmest)
            failed = failed or bool(outcome.failures)
            parts.append(report.section(outcome))
            print("\n" + parts[-1], flush=True)
            write(options.output, [*parts, notes()])
    return 1 if failed else 0


def measure(row: Row, chosen: list[str], rounds: int, terms: Terms, calmest: CalmestClient) -> Outcome:
    """Rounds of one row, until so many were calm enough, or twice as many were taken.

    A server that failed once is tried again in the next round; its failure stays.
    """
    outcome, rounds = Outcome(row), min(rounds, row.rounds_max or rounds)
    taken: list[Round] = []
    while len(outcome.loudness) < rounds and len(taken) < 2 * rounds:
        taken.append(take_round(row, chosen, f"{len(taken) + 1}/{rounds}", terms, outcome))
        for name, sample in taken[-1].items():
            calmest.learn(row.name, name, sample)
        keep_calm_ones(outcome, taken, calmest)
    calmest.save()
    return outcome


def take_round(row: Row, chosen: list[str], position: str, terms: Terms, outcome: Outcome) -> Round:
    """One sample of each contestant, one after the other. Failures go to `outcome`."""
    samples: dict[str, Sample] = {}
    for name in [name for name in row.contestants if name in chosen]:
        try:
            one = samples[name] = row.take(name, terms)
        except (LoadFailed, ServerFailed, TimeoutError, OSError, EOFError, ExceptionGroup) as failure:
            outcome.failures.append(f"{name}, round {position}: {said(failure)}")
            print(f"{row.name} {position} {name}: FAILED: {said(failure)}", flush=True)
        else:
            shown = ", ".join(f"{report.number(value)} {figure}" for figure, value in one.figures.items())
            print(f"{row.name} {position} {name}: {shown}; CPU µs: {report.cpu([one])}", flush=True)
    return samples


def keep_calm_ones(outcome: Outcome, taken: list[Round], calmest: CalmestClient) -> None:
    """Judge all rounds anew, since a later one may show that an earlier one was loud."""
    outcome.samples, outcome.loudness, outcome.loud = {}, [], []
    for samples in taken:
        loudness = calmest.loudness(outcome.row.name, samples)
        if loudness > calmest.limit:
            outcome.loud.append(loudness)
            continue
        outcome.loudness.append(loudness)
        for name, sample in samples.items():
            outcome.samples.setdefault(name, []).append(sample)


def parse() -> argparse.Namespace:
    names = [row.name for row in ROWS]
    parser = argparse.ArgumentParser(prog="benchmarks.run", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=positive(int), default=3)
    parser.add_argument("--seconds", type=positive(float), default=3.0, help="measured per sample; below 15")
    parser.add_argument("--rows", type=some_of(names), default=names, help=",".join(names))
    parser.add_argument("--servers", type=some_of(CONTESTANTS), help=",".join(CONTESTANTS))
    parser.add_argument("--compiled", action="store_true", help="the compiled core too, of `make compiled`")
    parser.add_argument("--sockets", type=positive(int), default=8_000, help="of the row idle, and at most of crowd")
    parser.add_argument("--mebibytes", type=positive(int), default=1_024, help="of the row download")
    parser.add_argument(
        "--loudness-max", type=positive(float), default=LOUD, help="a louder round is repeated; inf: none is"
    )
    parser.add_argument("--output", type=Path, help="default: RESULTS.md, after a run of everything only")
    parser.add_argument("--profile", type=Path, help="a folder for one page per process: where its time went")
    options = parser.parse_args()
    everything = options.rows == names and options.servers is None and options.profile is None
    options.servers = options.servers or (CONTESTANTS if options.compiled else INTERPRETED)
    if options.output is None and everything:
        options.output = RESULTS
    return options


def cores(contestants: list[str]) -> list[str]:
    """Which core Towpath's processes have: a line for each of the two that takes part."""
    folders = {COMPILED: COMPILED_BINARIES, "towpath": BINARIES}
    kinds = {next((kind for kind in folders if name.startswith(kind)), "") for name in contestants}
    return [f"`{kind}`: {machine.core_of(folder)}" for kind, folder in folders.items() if kind in kinds]


def some_of(known: list[str]) -> Callable[[str], list[str]]:
    def chosen(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not one of {', '.join(known)}")
        return [name for name in known if name in names]

    return chosen


def positive(kind: type[int] | type[float]) -> Callable[[str], float]:
    def number(text: str) -> float:
        if not (value := kind(text)) > 0:
            raise argparse.ArgumentTypeError(f"{text} is not above 0")
        return value

    return number


def _affordable(sockets: int) -> int:
    """As many sockets as asked for, or as many as this process and a server may each hold."""
    return max(1, min(sockets, machine.raise_descriptor_limit() - SPARE_DESCRIPTORS))


def said(failure: BaseException) -> str:
    """One line of why: of a group of errors the first, of what a server wrote the end."""
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    text = str(failure).split("\n")
    return ": ".join(dict.fromkeys([text[0], text[-1]])) or type(failure).__name__


def notes() -> str:
    return (HERE / "NOTES.md").read_text()


def deploys() -> str:
    """What `make bench-deploys` has written last, if it ever ran."""
    return DEPLOYS.read_text() if DEPLOYS.exists() else ""


def write(output: Path | None, parts: list[str]) -> None:
    if output is not None:
        output.write_text(report.with_deploys("\n".join(parts), deploys()))


if __name__ == "__main__":
    sys.exit(main())
