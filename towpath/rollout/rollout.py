"""Changes of a running `serve`: new code and options, other numbers of processes, replacements at a worker's own request.

    reload        replace all workers, one at a time (reload.py)
    scale         run more or fewer processes
    replacement   replace one worker that requests it

fleet.py decides the order; here supervisord starts and stops processes, and requests are answered.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from towpath.fleet.fleet import Fleet
from towpath.rollout.operations import Operations
from towpath.rollout.reload import Reload
from towpath.runtime.control_socket import Request
from towpath.runtime.process_table import ProcessTable
from towpath.status.lease_reader import LeaseReader
from towpath.supervisord.conf import WORKER
from towpath.supervisord.process import Process

SILENT_S = 3.0  #: a command that prints nothing for longer looks as if it hung


class Rollout:
    """The interface servers and workers of one `serve`, as they come and go."""

    def __init__(
        self,
        processes: ProcessTable,
        lease_reader: LeaseReader,
        fleets: Mapping[str, Fleet],
        reload: Reload,
        operations: Operations,
    ) -> None:
        """fleets: by kind, `interface` and `worker`."""
        self._processes = processes
        self._lease_reader = lease_reader
        self._fleets = fleets
        self._reload = reload
        self._operations = operations
        self._report_silence_at: float | None = None  # while no process has a lease

    @property
    def busy(self) -> bool:
        """True if a change is under way, which ought to be polled often."""
        return self._reload.is_checking or any(fleet.busy for fleet in self._fleets.values())

    @property
    def is_reloading(self) -> bool:
        """True while workers are being replaced for new code, or that is about to begin."""
        return self._reload.is_under_way

    @property
    def wanted(self) -> list[str]:
        """The slots that ought to be alive."""
        return [name for fleet in self._fleets.values() for name in fleet.current]

    @property
    def counts(self) -> dict[str, int]:
        """How many processes there ought to be, by kind."""
        return {kind: fleet.count for kind, fleet in self._fleets.items()}

    # -- requests

    def apply(self, request: Request) -> None:
        """Begin what the request asks for; it is answered when that is done."""
        asked = request.asked
        if asked.get("do") == "reload":
            self._reload.ask(request)
        elif asked.get("do") == "scale":
            self._scale(request, {kind: asked[kind] for kind in self._fleets if kind in asked})
        else:
            request.answer(1, "this `towpath serve` does not know that")

    def reload(self) -> None:
        """Replace all workers, once the application is known to load; while that is under way, once more at its end."""
        self._reload.ask()

    def _scale(self, request: Request, counts: Mapping[str, Any]) -> None:
        for kind, count in counts.items():
            fleet = self._fleets[kind]
            if not fleet.allows(count):
                request.answer(
                    1,
                    f"{kind}={count}: from {fleet.count_min} to {fleet.count_max} (`serve --{kind}s-max`, by default 4 times --{kind}s)",
                )
                return
        jobs = [self._fleets[kind].scale(count) for kind, count in counts.items()]
        self._operations.add([request], jobs, ", ".join(f"{kind}={count}" for kind, count in counts.items()))

    # -- polling

    def poll(self, seen: Mapping[str, Process]) -> None:
        """Take the next steps. seen: all processes."""
        self._reload.poll_check()
        now = time.monotonic()
        self._take_replacement_requests(seen, now)
        self._step_all(seen, now)
        self._reload.poll_successors()
        self._operations.answer_finished()
        self._reload.begin_if_due()

    def _take_replacement_requests(self, seen: Mapping[str, Process], now: float) -> None:
        workers = self._fleets[WORKER]
        for name in list(workers.current):
            if name in seen and seen[name].replacement_request and workers.request_replacement(name, now):
                self._operations.report(f"{name} asks for its successor: {seen[name].replacement_request}")

    def _step_all(self, seen: Mapping[str, Process], now: float) -> None:
        awaits = any(fleet.awaits_leases for fleet in self._fleets.values())
        ready = self._lease_reader.ready_pids() if awaits else frozenset()
        self._report_silence(awaits and not ready, now)
        for fleet in self._fleets.values():
            self._step(fleet, seen, ready, now)

    def _report_silence(self, is_silent: bool, now: float) -> None:
        """Report once that a start waits for Redis: only a lease shows that a process is ready."""
        if not is_silent:
            self._report_silence_at = None
        elif self._report_silence_at is None:
            self._report_silence_at = now + SILENT_S
        elif now >= self._report_silence_at:
            self._report_silence_at = math.inf
            self._operations.report(
                "waiting for Redis: it shows no process of this `serve`, so none is known to be ready"
            )

    def _step(self, fleet: Fleet, seen: Mapping[str, Process], ready: frozenset[int], now: float) -> None:
        commands = fleet.advance(seen, ready, now)
        for name in commands.start:
            self._processes.start(name)
        for name in commands.stop:
            self._processes.stop(name)
        for text in commands.log:
            self._operations.report(text)
        for text in commands.failures:
            self._operations.report_error(text)

    def close(self, why: str) -> None:
        """Answer every request: nothing of what is under way will be done."""
        self._reload.close(why)
        self._operations.close(why)
