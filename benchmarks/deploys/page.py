"""From what was seen to a section in Markdown. Values in, text out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from benchmarks import report

Figure = int | float | str
Figures = dict[str, Figure]


@dataclass(frozen=True, slots=True)
class Demand:
    """One line of what a run must show at Towpath."""

    text: str
    figure: str  #: its name among the figures; one that counts or measures
    most: float = 0


@dataclass
class Outcome:
    """What one run brought, server by server, and which failed."""

    title: str
    about: str
    demands: tuple[Demand, ...]
    figures: dict[str, Figures] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


def section(outcome: Outcome) -> str:
    """One run: a table with a line for each figure and a column for each server, then the demands, then the failures."""
    lines = [f"### {outcome.title}", "", outcome.about, ""]
    servers = list(outcome.figures)
    if servers:
        lines += [report.cells(["", *servers]), report.cells(["---", *["---:"] * len(servers)])]
        for name in dict.fromkeys(name for figures in outcome.figures.values() for name in figures):
            lines.append(report.cells([name, *(shown(outcome.figures[one].get(name, "")) for one in servers)]))
        lines.append("")
    lines += [demand_line(demand, outcome.figures.get("towpath", {})) for demand in outcome.demands]
    lines += [f"- **Failed:** {failure}" for failure in outcome.failures]
    return "\n".join([*lines, ""])


def demand_line(demand: Demand, figures: Figures) -> str:
    value = figures.get(demand.figure)
    if not isinstance(value, int | float):
        return f"- {demand.text}: not measured in this run"
    return f"- {demand.text}: **{shown(value)}**, {'reached' if value <= demand.most else '**not reached**'}"


def shown(figure: Figure) -> str:
    if isinstance(figure, int):
        return f"{figure:,}".replace(",", " ")
    return figure if isinstance(figure, str) else report.number(figure)


def counted(things: Iterable[object]) -> str:
    """`502: 3, reset: 1`, the most frequent first; `none`."""
    found = Counter(map(str, things))
    return ", ".join(f"{name}: {count}" for name, count in found.most_common()) or "none"


def header(machine: list[str], terms: list[str]) -> str:
    return "\n".join(
        [
            report.DEPLOYS_TITLE,
            "",
            "Written by `make bench-deploys`. The same clients and the same application at each server, which runs it in two",
            "workers; Towpath has one interface server before them. uvicorn and gunicorn (whose ASGI worker is uvicorn's) stand",
            "for what a deploy is like where the process that has the application has the sockets too. They stand in no table of",
            "what they do not have: an interface server that may die alone, a Redis, an open socket that changes its worker.",
            "",
            "A request or an echo counts as hanging after 20 s. A closed socket is opened again by its client, and counted each",
            "time. A code of 1006 means that the connection ended without one.",
            "",
            *[f"- {line}" for line in [*machine, *terms]],
            "",
        ]
    )
