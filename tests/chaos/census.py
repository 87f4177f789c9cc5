"""What each process has in hands beside its connections: the tasks of its loop, and its threads. A leak of them shows at rest."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.process import Process
from tests.chaos.traces import whole_lines
from tests.support.facts import until

#: Threads of the loop's own pool come as they are needed, and stay.
POOL = "uvloop_"
#: Each process that has begun has this task until it leaves: the last one that it starts, by the beginning of the process' name.
AT_REST = {"interface": "Node._check_regularly", "worker": "LoopLayer._clean_up"}


@dataclass(frozen=True, slots=True)
class Count:
    """Names of the coroutines whose tasks are not done, and of the threads that run."""

    tasks: tuple[str, ...]
    threads: tuple[str, ...]

    def more_than(self, before: Count) -> list[str]:
        """What is too much, each as one sentence; nothing if it is as it was."""
        kinds = (("tasks", self.tasks, before.tasks), ("threads", self._lasting, before._lasting))
        return [
            f"has {what} that it had not at the beginning: {dict(Counter(now) - Counter(then))}"
            for what, now, then in kinds
            if len(now) > len(then)
        ]

    @property
    def _lasting(self) -> list[str]:
        return [name for name in self.threads if not name.startswith(POOL)]


async def take(processes: Sequence[Process], traces: Path) -> dict[str, Count]:
    """By name. Ask each, and wait until all have answered. They must be those of blockable.py."""
    path = traces / "census"
    before = len(_counts(path))
    for process in processes:
        process.signal(signal.SIGUSR1)
    names = {process.pid: process.name for process in processes}
    await until(lambda: names.keys() <= {pid for pid, _ in _counts(path)[before:]}, "all have counted")
    return {names[pid]: count for pid, count in _counts(path)[before:] if pid in names}


def _counts(path: Path) -> list[tuple[int, Count]]:
    counts = map(json.loads, whole_lines(path))
    return [(count["pid"], Count(tuple(count["tasks"]), tuple(count["threads"]))) for count in counts]
