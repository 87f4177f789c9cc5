"""Handles processes of a `serve` that supervisord has given up, and those that are frozen."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping, Sequence

from towpath.errors import StartFailure
from towpath.fleet import restart_backoff
from towpath.fleet.fleet import Fleet
from towpath.fleet.lease_watch import LeaseWatch
from towpath.runtime.process_table import ProcessTable
from towpath.serve.serve_log import log, log_warning
from towpath.status import redis_check
from towpath.status.lease_reader import LeaseReader
from towpath.supervisord.conf import INTERFACE, WORKER
from towpath.supervisord.process import Process
from towpath.system.processes import Identity

LEASES_POLL_S = 2.0
LEASES_RETRY_S = 10.0  #: Redis did not answer, and takes two seconds for that


class ProcessHealth:
    """The watch over the processes of one `serve` that is serving."""

    def __init__(self, processes: ProcessTable, lease_reader: LeaseReader, redis: str, worker_timeout_s: float) -> None:
        """redis: the URL; worker_timeout_s: how long a worker may be frozen; 0: any time."""
        self._processes = processes
        self._lease_reader = lease_reader
        self._redis = redis
        self._retries = restart_backoff.RestartBackoff()
        self._leases = LeaseWatch(worker_timeout_s)
        self._leases_due_at = 0.0

    def set_worker_timeout(self, timeout_s: float) -> None:
        """Workers may be frozen for so long from now on."""
        self._leases.set_timeout(timeout_s)

    def restart_lost(self, seen: Mapping[str, Process], wanted: Sequence[str]) -> None:
        """Start again what supervisord has given up, with growing pauses, and not while Redis is away: nothing can start then."""
        lost, now = restart_backoff.lost(seen, wanted), time.monotonic()
        if lost and not self._redis_answers():
            self._retries.excuse(lost, now)
            return
        for name in self._retries.due(lost, now):
            log_warning(
                f"{name} does not stay alive; starting it again (up to {restart_backoff.PAUSE_MAX_S:.0f} s after each failure)"
            )
            self._processes.start(name)

    def _redis_answers(self) -> bool:
        try:
            redis_check.check(self._redis)
        except StartFailure:
            return False
        return True

    def kill_frozen(self, seen: Mapping[str, Process], fleets: Mapping[str, Fleet]) -> None:
        """Kill workers that have had no lease for too long, and log which processes have none."""
        now = time.monotonic()
        if now < self._leases_due_at:
            return
        ready = self._lease_reader.ready_pids()
        self._leases_due_at = time.monotonic() + (LEASES_POLL_S if ready else LEASES_RETRY_S)
        running = {kind: _running(fleet, seen) for kind, fleet in fleets.items()}
        verdict = self._leases.poll(running[WORKER], running[INTERFACE], ready, now)
        for text in verdict.warnings:
            log_warning(text)
        for text in verdict.recoveries:
            log(text)
        for process in filter(None, map(Identity.of, verdict.kill)):
            process.send(signal.SIGKILL)


def _running(fleet: Fleet, seen: Mapping[str, Process]) -> dict[str, int]:
    current = [name for name in fleet.current if name in seen]
    return {name: seen[name].pid for name in current if seen[name].state == "RUNNING"}
