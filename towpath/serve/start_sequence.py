"""The polled part of a `serve`'s start: it is over when all processes hold a lease, and interface servers listen.

supervisord starts all at once. What needs Redis waits for the embedded server itself, once its modules are imported.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from towpath.fleet.startup import StartupMonitor
from towpath.serve.startup_output import StartupOutput
from towpath.supervisord import conf as supervisord_conf
from towpath.supervisord.process import Process

#: From its lease until an interface server listens. Its marker may be missing for good, if the disk is full.
LISTENS_WITHIN_S = 2.0


@dataclass(frozen=True, slots=True)
class FailedStart:
    """Why the start failed. name: the process that found out that APP cannot be loaded; empty for any other reason."""

    sentence: str
    name: str = ""


class StartSequence:
    """The start of one `serve`."""

    def __init__(self, output: StartupOutput) -> None:
        self._output = output
        self._monitor = StartupMonitor()
        self._began_at = time.monotonic()
        self._leased_at = 0.0  # 0: not all processes hold a lease yet

    @property
    def passed_s(self) -> float:
        """The time since the start began."""
        return time.monotonic() - self._began_at

    def note_log(self, logged: bytes) -> None:
        """Note what supervisord logs. From any thread."""
        self._monitor.note_log(logged)

    def poll_processes(
        self, seen: Mapping[str, Process], wanted: Sequence[str], workers: Sequence[str], ready: frozenset[int]
    ) -> FailedStart | bool:
        """True if all of `wanted` hold a lease and accept what they are for, which was shown then; False if not all do yet.

        workers: those of `wanted` that load the application.
        """
        if not ready and (redis := self._monitor.failure(seen, (supervisord_conf.REDIS,))) is not None:
            return FailedStart(redis.failure_sentence)
        failed = self._monitor.failure(seen, wanted, ready)
        # Before the failure is looked at: a worker may have loaded APP and failed since the last poll.
        self._output.poll(any(name in seen and seen[name].loaded for name in workers))
        if failed is not None:
            return self._failed_start(failed)
        if not all(name in seen and seen[name].pid in ready for name in wanted):
            return False
        self._leased_at = self._leased_at or time.monotonic()
        if not all(seen[name].listens for name in wanted) and time.monotonic() < self._leased_at + LISTENS_WITHIN_S:
            return False
        self._output.end()
        return True

    def _failed_start(self, process: Process) -> FailedStart:
        """Why the start failed. Until a worker has loaded APP, the sentence reads as if loading had been tried beforehand."""
        if self._output.loaded:
            return FailedStart(process.failure_sentence)
        if process.cannot_start and process.reason:
            return FailedStart(process.reason, process.name)
        if not process.loaded:
            return FailedStart(self._output.early_end_sentence(process.end), process.name)
        return FailedStart(process.failure_sentence)
