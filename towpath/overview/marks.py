"""Marks of one process for people: leaving, blocked, slow, full. From the figures in its lease, which may contain anything. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

SLOW_MS = 50.0  #: an event loop that is later runs something slow
BLOCKED_S = 2.0  #: from then on a lease reports a loop that does not turn
#: Fields of a lease that marks stand for in a table.
SHOWN_AS_MARKS = frozenset({"draining", "gives_way", "blocked_s"})

Lease = Mapping[str, Any]


def marks(lease: Lease) -> tuple[str, ...]:
    """What an operator should know of this process; empty if it is as it ought to be."""
    return tuple(_marks(lease))


def _marks(lease: Lease) -> Iterator[str]:
    if lease.get("draining"):
        yield "draining"
    elif lease.get("gives_way"):
        yield "gives way"
    if is_blocked(lease):
        yield f"blocked {blocked_s(lease):.0f} s"
        return
    if lag_ms(lease) >= SLOW_MS:
        yield f"slow {lag_ms(lease):.0f} ms"
    if reports_places(lease) and not is_leaving(lease) and not has_free_place(lease, "http"):
        yield "full"


def is_leaving(lease: Lease) -> bool:
    """True if a worker takes no new connections, because it is about to stop."""
    return bool(lease.get("draining"))


def reports_places(lease: Lease) -> bool:
    """True if a lease tells how many places are free: background workers have none."""
    return isinstance(lease.get("free"), Mapping)


def has_free_place(lease: Lease, kind: str) -> bool:
    """True if a worker would take one more connection of this kind, according to its lease."""
    free = lease.get("free")
    count = free.get(kind) if isinstance(free, Mapping) else None
    return type(count) is int and count > 0


def is_blocked(lease: Lease) -> bool:
    """True if the event loop of a process does not turn."""
    return blocked_s(lease) >= BLOCKED_S


def blocked_s(lease: Lease) -> float:
    """How long the event loop of a process has not turned; 0 if it turns, or its lease does not tell."""
    return _figure(lease.get("blocked_s"))


def lag_ms(lease: Lease) -> float:
    """How late the event loop of a process is; 0 if its lease does not tell."""
    return _figure(lease.get("lag_ms"))


def _figure(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
