"""One process under test: started as a user would, found by its number, and never left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.serving import environment


@dataclass(slots=True, eq=False)
class Process:
    """A process, its log, and whether we mean it to be alive."""

    name: str
    popen: subprocess.Popen[bytes]
    log_path: Path
    ended_by_us: bool = False

    @classmethod
    def start(
        cls,
        name: str,
        command: Sequence[str | Path],
        log_path: Path,
        env: dict[str, str],
        descriptors: Sequence[int] = (),
    ) -> Process:
        with log_path.open("ab") as log:
            popen = subprocess.Popen(
                [str(word) for word in command],
                env=environment(env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=tuple(descriptors),
                start_new_session=True,
            )
        return cls(name, popen, log_path)

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def alive(self) -> bool:
        return self.popen.poll() is None

    @property
    def descriptors(self) -> int:
        """How many files it has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def signal(self, number: signal.Signals) -> None:
        if self.alive:
            os.kill(self.pid, number)

    def end_by_force(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.popen.kill()
        self.popen.wait()
