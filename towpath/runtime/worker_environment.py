"""The environment in which `serve` starts workers, and how a new one reaches workers that start later.

supervisord passes on the environment that it was started with, for as long as it lives. So a changed one is left in the run
folder, and a worker that starts there executes itself again with it: by `exec`, since some variables (PYTHONPATH, LD_PRELOAD)
count only when the interpreter starts.

Standard library and private_folder.py alone: it runs before anything else is imported.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from towpath.system.private_folder import PrivateFolder

NAME = "environment.json"
APP = "TOWPATH_APP"  #: interface servers learn from it which application they are for
GENERATION = "TOWPATH_GENERATION"  #: <fleet>/<number>; the number grows with each edition that replaces all workers
EDITION = "TOWPATH_ENVIRONMENT"  #: which edition a process has; the first one has none
RUN_DIR = "TOWPATH_RUN_DIR"  #: of the `serve` that a process belongs to
FROM_SUPERVISORD = "SUPERVISOR_"
SLOT = "SUPERVISOR_PROCESS_NAME"
PAUSES = "TOWPATH_PAUSES"  #: set if the `serve` of a worker pauses it when files change


class WorkerEnvironment:
    """The side of `serve`: the editions, of which the last one counts."""

    def __init__(self, folder: PrivateFolder, first: Mapping[str, str]) -> None:
        self._folder = folder
        self._proven = self._now = dict(first)
        self._edition = 0

    def renew(self, variables: Mapping[str, str]) -> None:
        """Give these variables to workers that start from now on."""
        fleet, _, _ = variables[GENERATION].rpartition("/")
        self._now = {**variables, GENERATION: f"{fleet}/{self._edition + 1}"}
        self._publish()

    def keep(self) -> None:
        """Note that workers have started with the newest variables."""
        self._proven = self._now

    def take_back(self) -> None:
        """Return to the last variables with which workers have started."""
        if self._now != self._proven:
            self._now = self._proven
            self._publish()

    def _publish(self) -> None:
        self._edition += 1
        self._folder.write(NAME, json.dumps({**self._now, EDITION: str(self._edition)}))


def take_up() -> None:
    """Execute this process again if it is a worker of a `serve` that lacks the last edition of its environment."""
    run_dir, name = os.environ.get(RUN_DIR), os.environ.get(SLOT, "")
    if run_dir is None or not name.startswith("worker-"):
        return
    try:
        with contextlib.closing(PrivateFolder.open(Path(run_dir))) as folder:
            variables: dict[str, str] = json.loads(folder.read(NAME))
    except (OSError, ValueError):
        return
    if variables.get(EDITION) != os.environ.get(EDITION):
        own = {name: value for name, value in os.environ.items() if name.startswith(FROM_SUPERVISORD)}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**variables, **own})
