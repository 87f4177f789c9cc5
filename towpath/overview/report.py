"""The state of a deployment as a table for people, and as JSON for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from channel_layer.process.log_values import printable
from towpath.overview.findings import Finding
from towpath.overview.marks import SHOWN_AS_MARKS, marks
from towpath.overview.rates import NO_RATES, UP_S, Rates
from towpath.status.state import NAME, Queue, Status

COMMON = ("host", "version", "package_version", "fleet")  #: left out where several processes have the same
#: The first columns and the last ones, where a lease has them; rates and all its other fields are between them.
FIRST_COLUMNS = (NAME, "role", "state", "connections", "websockets", "free http", "free websocket", "lag_ms")
LAST_COLUMNS = ("up", "pid", "node", "APP", *COMMON)
#: Where 0 in every row is news: it is shown.
SHOWN_IF_ZERO = frozenset({"connections", "free http", "free websocket"})
#: By which processes recognise one another, or what they agree on; of no use to people.
FOR_PROGRAMS = frozenset({"machine", "born", UP_S, "mixed_apps", "own_channel", "takes_invitations"})
COUNTERS = "counters"  #: the field of a lease with what its process has counted


def as_json(status: Status, rates: Rates = NO_RATES, findings: Sequence[Finding] = ()) -> str:
    """The state as JSON, for programs."""
    return json.dumps(_state(status, rates, findings), default=str)


def as_page_json(status: Status, rates: Rates = NO_RATES, findings: Sequence[Finding] = ()) -> str:
    """The same for the page, which people read: without characters that are not seen, or that turn a line around."""
    return json.dumps(_printable(_state(status, rates, findings)), default=str)


def _printable(value: Any) -> Any:
    """`value`, with every text in it printable."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {printable(str(name)): _printable(inner) for name, inner in value.items()}
    return [*map(_printable, value)] if isinstance(value, list | tuple) else value


def _state(status: Status, rates: Rates, findings: Sequence[Finding]) -> dict[str, Any]:
    wanted = {"wanted": dict(status.wanted)} if status.wanted else {}
    unreadable = {"unreadable": status.unreadable} if status.unreadable else {}
    processes = [_process_for_programs(lease, rates) for lease in status.processes]
    return {
        "findings": [*map(asdict, findings)],
        "processes": processes,
        "queues": [_queue_for_programs(queue, rates) for queue in status.queues],
        "redis": asdict(status.redis),
        **wanted,
        **unreadable,
    }


def _process_for_programs(lease: Mapping[str, Any], rates: Rates) -> dict[str, Any]:
    per_s = {f"{name}_per_s": round(rate, 2) for name, rate in rates.processes.get(lease["node"], {}).items()}
    more = {"marks": marks(lease), "rates": per_s}
    return {**lease, **{name: value for name, value in more.items() if value}}


def _queue_for_programs(queue: Queue, rates: Rates) -> dict[str, Any]:
    rate = rates.queues.get(queue.channel)
    found = {name: value for name, value in asdict(queue).items() if value is not None}
    return found if rate is None else {**found, "added_per_s": round(rate, 2)}


def as_table(status: Status, rates: Rates = NO_RATES, findings: Sequence[Finding] = ()) -> str:
    """The state as a table, for people: first what is wrong."""
    rows = [
        _for_people(lease, rates.processes.get(lease["node"], {}), status.now_s)
        for lease in sorted(status.processes, key=_order)
    ]
    lines = [*_finding_lines(findings)]
    lines += (
        _table(_columns(rows), rows)
        if rows
        else ["no process has a lease" if status.redis.refusal else "no process is alive"]
    )
    queues = [_queue_row(queue, rates) for queue in status.queues]
    lines += ["", *_table(tuple(_queue_row(Queue("", 0, 0.0), rates)), queues)]
    counted = _counted(status)
    if counted:
        lines += ["", *_table(("counted", "role", "times"), counted)]
    return "\n".join(lines)


def _finding_lines(findings: Sequence[Finding]) -> Iterable[str]:
    """Two lines for each finding, and an empty one behind the last."""
    for finding in findings:
        yield f"{finding.severity.upper() + ':':<9}{printable(finding.sentence)}"
        yield f"{'':<9}{printable(finding.remedy)}"
    if findings:
        yield ""


def _queue_row(queue: Queue, rates: Rates) -> dict[str, Any]:
    rate = {"added/s": _rounded(rates.queues.get(queue.channel))} if rates.queues else {}
    return {
        "waiting for a worker": queue.channel,
        "depth": queue.depth,
        "oldest": f"{queue.age_s:.1f} s",
        **rate,
        "receivers": queue.receivers,
        "dead letters": "yes" if queue.dead_letter else None,
    }


def _rounded(rate: float | None) -> int | None:
    return None if rate is None else round(rate)


def _counted(status: Status) -> list[dict[str, Any]]:
    """The counters of all living processes of a role, added up: refused, dropped, closed and cut, by reason."""
    sums: Counter[tuple[str, str]] = Counter()
    for lease in status.processes:
        counted = lease.get(COUNTERS)
        for name, times in (
            counted.items() if isinstance(counted, dict) else ()
        ):  # a stranger's lease may contain anything
            if type(times) is int:
                sums[str(name), str(lease.get("role", ""))] += times
    return [{"counted": name, "role": role, "times": times} for (name, role), times in sorted(sums.items()) if times]


def _order(lease: dict[str, Any]) -> tuple[str, str]:
    return str(lease.get("role", "")), str(lease.get("node", ""))


def _for_people(lease: dict[str, Any], rates: Mapping[str, float], now_s: float) -> dict[str, Any]:
    """One row: nested figures become columns of their own; the moment of the start becomes how long ago it was."""
    marked = marks(lease)
    row: dict[str, Any] = {"state": ", ".join(marked)} if marked else {}
    for name, value in lease.items():
        if name == COUNTERS or name in FOR_PROGRAMS or name in SHOWN_AS_MARKS:
            continue
        if isinstance(value, dict):
            row.update({f"{name} {inner}": figure for inner, figure in value.items()})
        elif name == "app":
            row["APP"] = value
        elif name == "started" and isinstance(value, int | float):
            row["up"] = f"{_up_s(lease, value, now_s):.0f} s"
        else:
            row[name] = value
    return {**row, **{f"{name}/s": round(rate) for name, rate in rates.items()}}


def _up_s(lease: dict[str, Any], started: float, now_s: float) -> float:
    """The uptime that the process reports; else the time since its start. The latter is as wrong as the clock of its host."""
    up_s = lease.get(UP_S)
    return up_s if isinstance(up_s, int | float) else max(0, now_s - started)


def _columns(rows: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """What any row has to tell, the most useful first. A column in which every figure is 0 or missing tells nothing."""
    shown = {name: None for row in rows for name, value in row.items() if value or name in SHOWN_IF_ZERO}
    for name in COMMON:
        if sum(name in row for row in rows) > 1 and len({_cell(row[name]) for row in rows if name in row}) == 1:
            shown.pop(name, None)
    others = [name for name in shown if name not in (*FIRST_COLUMNS, *LAST_COLUMNS)]
    totals = [name for name in others if name.endswith("_total")]
    between = sorted((name for name in others if name not in totals), key=_is_no_rate)
    return (*_in(shown, FIRST_COLUMNS), *between, *_in(shown, LAST_COLUMNS), *totals)


def _in(shown: Mapping[str, None], names: Iterable[str]) -> Iterable[str]:
    return (name for name in names if name in shown)


def _is_no_rate(name: str) -> bool:
    return not name.endswith("/s")


def _table(columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> list[str]:
    cells = [[*map(printable, columns)], *([_cell(row.get(name)) for name in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return (
        f"{value:.3g}" if isinstance(value, float) else printable(str(value))
    )  # a stranger's lease may contain anything
