"""On which machine a simulated process runs, and who sees it die: what pidfd tells in the real world.

Two processes of one machine see each other's death at once, or a little later; of a process on another machine only its lease tells.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.simulation.process import Process

#: How long after a death its news reaches who watches.
SEEN_AFTER_S = (0.000_5, 0.000_5, 0.02, 0.5)


def simulated_identity() -> dict[str, Any]:
    """What the lease of the running process says of it."""
    process: Process = asyncio.get_running_loop().process  # type: ignore[attr-defined]
    return {"machine": process.machine, "pid": process.number, "born": 0}


class SimulatedDeathWatch:
    """As `DeathWatch`, of simulated processes."""

    def __init__(self, on_death: Callable[[str], None]) -> None:
        self._on_death = on_death
        self._process: Process = asyncio.get_running_loop().process  # type: ignore[attr-defined]
        self._watched: dict[str, Process] = {}

    def watch(self, node: str, facts: dict[str, Any]) -> None:
        """See DeathWatch.watch."""
        other = self._process.network.processes[facts["pid"]]
        if node in self._watched or facts["machine"] != self._process.machine:
            return
        if not other.alive:
            self._on_death(node)
            return
        self._watched[node] = other
        other.death_watchers.append(lambda: self._tell(node))

    def unwatch(self, node: str) -> None:
        """See DeathWatch.forget."""
        self._watched.pop(node, None)

    def has_died(self, node: str) -> bool:
        """See DeathWatch.has_died."""
        return node in self._watched and not self._watched[node].alive

    def watched(self) -> list[str]:
        """See DeathWatch.watched."""
        return list(self._watched)

    def close(self) -> None:
        """See DeathWatch.close."""
        self._watched.clear()

    def _tell(self, node: str) -> None:
        after_s = self._process.network.random.choice(SEEN_AFTER_S)
        self._process.loop.call_later(after_s, self._died, node)

    def _died(self, node: str) -> None:
        if self._watched.pop(node, None) is not None:
            self._on_death(node)
