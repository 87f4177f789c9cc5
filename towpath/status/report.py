"""The state of a deployment as a table for people, and as JSON for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

#: The first columns, where a lease has them; all its other fields follow.
FIRST_COLUMNS = ("role", "node", "host", "pid", "version", "APP", "fleet")
UP_S = "up_s"  #: how long a process has run, by its own monotonic clock
FOR_PROGRAMS = ("machine", "born", UP_S)  #: by which processes recognise one another; of no use to people
COUNTERS = "counters"  #: the field of a lease with what its process has counted
TOTAL_SUFFIX = "_total"  #: figures that only grow: shown as a rate as well


@dataclass(frozen=True, slots=True)
class Queue:
    """One shared channel: the connections or messages that wait there, the age of the oldest, and the processes that receive."""

    channel: str
    depth: int
    age_s: float
    receivers: int = 0
    dead_letter: bool = False  #: a background worker sends messages here that failed


@dataclass(frozen=True, slots=True)
class Status:
    """The state at one moment."""

    processes: tuple[dict[str, Any], ...]
    queues: tuple[Queue, ...]
    now_s: float = 0.0  #: Redis' clock
    wanted: Mapping[str, int] = field(default_factory=dict)  #: by role, where a `serve` has published it
    unreadable: str = ""  #: why leases cannot be decrypted with the keys of this command; empty if all can


def as_json(status: Status) -> str:
    """The state as JSON, for programs."""
    wanted = {"wanted": dict(status.wanted)} if status.wanted else {}
    unreadable = {"unreadable": status.unreadable} if status.unreadable else {}
    queues = [*map(asdict, status.queues)]
    return json.dumps({"processes": status.processes, "queues": queues, **wanted, **unreadable}, default=str)


def as_table(status: Status, before: Status | None = None, passed_s: float = 0.0) -> str:
    """The state as a table, for people. before, passed_s: an earlier state and how long ago that was, for rates."""
    rows = [
        _for_people(_with_rates(lease, _same(before, lease), passed_s), status.now_s)
        for lease in sorted(status.processes, key=_order)
    ]
    lines = _table(_columns(rows), rows) if rows else ["no process is alive"]
    lines += [*_missing(status), *filter(None, (status.unreadable,)), ""]
    queues = [_queue_row(queue) for queue in status.queues]
    lines += _table(tuple(_queue_row(Queue("", 0, 0.0))), queues)
    counted = _counted(status)
    if counted:
        lines += ["", *_table(("counted", "role", "times"), counted)]
    return "\n".join(lines)


def _queue_row(queue: Queue) -> dict[str, Any]:
    return {
        "waiting for a worker": queue.channel,
        "depth": queue.depth,
        "oldest": f"{queue.age_s:.1f} s",
        "receivers": queue.receivers,
        "dead letters": "yes" if queue.dead_letter else None,
    }


def _missing(status: Status) -> Iterable[str]:
    """A line for each role with too few processes: an absent row would be overlooked."""
    here = Counter(str(lease.get("role")) for lease in status.processes)
    for role, count in sorted(status.wanted.items()):
        if here[role] < count:
            yield f"MISSING: {count - here[role]} of {count} {role}s; see the log of `serve`"


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


def _same(before: Status | None, lease: dict[str, Any]) -> dict[str, Any] | None:
    earlier = before.processes if before is not None else ()
    return next((process for process in earlier if process["node"] == lease["node"]), None)


def _with_rates(lease: dict[str, Any], earlier: dict[str, Any] | None, passed_s: float) -> dict[str, Any]:
    rates = {}
    for name, value in lease.items():
        if name.endswith(TOTAL_SUFFIX) and earlier is not None and passed_s > 0 and name in earlier:
            rates[f"{name.removesuffix(TOTAL_SUFFIX)}/s"] = round((value - earlier[name]) / passed_s)
    return {**lease, **rates}


def _for_people(lease: dict[str, Any], now_s: float) -> dict[str, Any]:
    """One row: nested figures become columns of their own; the moment of the start becomes how long ago it was."""
    row: dict[str, Any] = {}
    for name, value in lease.items():
        if name == COUNTERS or name in FOR_PROGRAMS:
            continue
        if isinstance(value, dict):
            row.update({f"{name} {inner}": figure for inner, figure in value.items()})
        elif name == "app":
            row["APP"] = value
        elif name == "started" and isinstance(value, int | float):
            row["up"] = f"{_up_s(lease, value, now_s):.0f} s"
        else:
            row[name] = value
    return row


def _up_s(lease: dict[str, Any], started: float, now_s: float) -> float:
    """The uptime that the process reports; else the time since its start. The latter is as wrong as the clock of its host."""
    up_s = lease.get(UP_S)
    return up_s if isinstance(up_s, int | float) else max(0, now_s - started)


def _columns(rows: Iterable[dict[str, Any]]) -> tuple[str, ...]:
    known = {name: None for row in rows for name in row}
    return (*(name for name in FIRST_COLUMNS if name in known), *(name for name in known if name not in FIRST_COLUMNS))


def _table(columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> list[str]:
    cells = [list(columns), *([_cell(row.get(name)) for name in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    text = f"{value:.3g}" if isinstance(value, float) else str(value)
    return text if text.isprintable() else repr(text)  # a stranger's lease may contain control sequences of a terminal
