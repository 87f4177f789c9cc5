"""From samples to a page in Markdown. Values in, text out."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.figures import Goal, Medians, Sample, medians_of
from benchmarks.loudness import LOUD
from benchmarks.rows.row import Row

DEPLOYS_TITLE = "## Deploys and deaths"  #: here the section of `make bench-deploys` begins
PARTS_ORDER = ("server", "interface", "worker", "sender", "receiver", "redis", "keeper", "client")


@dataclass
class Outcome:
    """What one row brought: the samples of each server, round by round, and the runs that failed.

    `samples` are those of rounds that were calm enough; `loudness` has one figure for each of these, `loud` for each of the others.
    """

    row: Row
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    loudness: list[float] = field(default_factory=list)
    loud: list[float] = field(default_factory=list)

    def medians(self) -> Medians:
        return {server: medians_of([one.with_cpu for one in samples]) for server, samples in self.samples.items()}


def section(outcome: Outcome) -> str:
    """One row: a table of all servers, the goals, and the failures."""
    row, medians = outcome.row, outcome.medians()
    names = list(dict.fromkeys(name for figures in medians.values() for name in figures))
    lines = [f"## {row.title}", ""]
    if medians:
        head = ["", *names, f"× {row.base}", f"CPU µs per {row.unit}"]
        lines += [cells(head), cells(["---", *["---:"] * (len(head) - 2), "---"])]
        lines += [server_line(outcome, server, names, medians) for server in medians]
        lines += ["", loudness_line(outcome), ""]
    elif outcome.loud:
        lines += [f"Not published: all rounds were too loud ({values_between(outcome.loud)}).", ""]
    lines += [goal_line(goal, medians) for goal in row.goals]
    lines += [f"- **Failed:** {failure}" for failure in outcome.failures]
    return "\n".join([*lines, ""])


def server_line(outcome: Outcome, server: str, names: list[str], medians: Medians) -> str:
    main, mine = outcome.row.main, medians[server]
    values = [number(mine[name]) if name in mine else "" for name in names]
    seen = [one.figures[main] for one in outcome.samples[server]]
    if len(seen) > 1:
        values[names.index(main)] += f" ({number(min(seen))} – {number(max(seen))})"
    base = medians.get(outcome.row.base, {}).get(main)
    compared = number(mine[main] / base) if base else ""
    return cells([server, *values, compared, cpu(outcome.samples[server])])


def loudness_line(outcome: Outcome) -> str:
    """How loud the machine was, and how many rounds were left out for that."""
    left_out = (
        f" Louder rounds that were left out: {len(outcome.loud)} ({values_between(outcome.loud)})."
        if outcome.loud
        else ""
    )
    return f"Loudness: {values_between(outcome.loudness)}.{left_out}"


def values_between(values: list[float]) -> str:
    """One value, or the least and the greatest."""
    least, greatest = number(min(values)), number(max(values))
    return least if least == greatest else f"{least} – {greatest}"


def cpu(samples: list[Sample]) -> str:
    """The parts that took any, in the order in which a request meets them."""
    spent = medians_of([one.cpu_us for one in samples])
    ordered = sorted(spent, key=lambda part: PARTS_ORDER.index(part))
    return ", ".join(f"{part} {number(spent[part])}" for part in ordered if spent[part] >= 0.005)


def goal_line(goal: Goal, medians: Medians) -> str:
    bound = "at most" if goal.lower_is_better else "at least"
    wanted = f"{bound} {goal.least:g} {goal.text}" + (f", aim {goal.aim:g}" if goal.aim is not None else "")
    try:
        value = goal.figure(medians)
    except KeyError:
        return f"- {wanted}: not measured in this run"
    return f"- {wanted}: **{number(value)}**, {verdict(goal, value)}"


def verdict(goal: Goal, value: float) -> str:
    if not goal.reached(value, goal.least):
        return "**not reached**"
    if goal.aim is None:
        return "reached"
    return "reached, and the aim too" if goal.reached(value, goal.aim) else "reached, the aim not"


def number(value: float) -> str:
    """Three digits that mean something; thousands in groups."""
    if abs(value) >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def cells(values: list[str]) -> str:
    return "| " + " | ".join(values) + " |"


def with_deploys(page: str, section: str) -> str:
    """The page with `section` at its end, instead of the one that stood there."""
    return page.partition(f"\n{DEPLOYS_TITLE}\n")[0] + (f"\n{section}" if section else "")


def header(machine: list[str], terms: list[str]) -> str:
    return "\n".join(
        [
            "# Results of the bench",
            "",
            "Written by `make bench`, its last section by `make bench-deploys`; the one before that by hand, in `NOTES.md`.",
            "",
            "Compare the ratios, not the rates: client and servers share one machine, and another has other rates.",
            "A request through Towpath meets four processes (interface server, Redis, worker, and the client), one",
            "through uvicorn or Daphne two; on few cores that alone costs Towpath a part of its rate, so look at the",
            "CPU time too. `towpath-compiled` is the same source with the core that `make bench-compiled` compiles, with a profile.",
            "`keeper` is supervisord and its parent. The memory of an idle socket is the growth of resident memory,",
            "divided by the sockets opened.",
            "",
            "Loudness is the CPU of the bench's own client per unit of work, beside the least that it ever was on this",
            f"machine. A round that is louder than {LOUD} is repeated, and not published (unless `--loudness-max` says otherwise).",
            "",
            *[f"- {line}" for line in [*machine, *terms]],
            "",
        ]
    )
