"""The processes of a `serve`: supervisord's facts about each, joined with its markers in the run folder."""

from __future__ import annotations

import contextlib
from dataclasses import replace

from towpath.runtime.run_dir import RunDir
from towpath.supervisord.conf import INTERFACE, WORKER
from towpath.supervisord.process import Process
from towpath.supervisord.rpc import Supervisor


class ProcessTable:
    """Every process slot of one `serve`, by name."""

    def __init__(self, folder: RunDir) -> None:
        self._folder = folder
        self._supervisor = Supervisor(folder.path)

    def processes(self) -> dict[str, Process] | None:
        """Every process by its name; None while supervisord does not answer."""
        processes = self._supervisor.processes()
        return None if processes is None else {process.name: self._with_markers(process) for process in processes}

    def start(self, name: str) -> None:
        """Start one process without waiting for it. The markers of its predecessor in the slot are removed first."""
        self._folder.remove_markers(name)
        self._supervisor.start(name)

    def stop(self, name: str) -> None:
        """Ask one process to leave, without waiting for it."""
        with contextlib.suppress(OSError):  # it finds out a moment later
            self._folder.mark_leaving(name)
        self._supervisor.stop(name)

    def _with_markers(self, process: Process) -> Process:
        sentence = self._folder.failure(process.name)
        return replace(
            process,
            cannot_start=sentence is not None,
            reason=sentence or "",
            replacement_request=self._folder.replacement_request(process.name),
            loaded=not process.name.startswith(WORKER) or self._folder.has_loaded(process.name),
            listens=not process.name.startswith(INTERFACE) or self._folder.is_listening(process.name),
        )
