"""Measures for how long a thread was ready to run and had no CPU: the machine is busy, and the application is not to blame."""

from __future__ import annotations

import os

SCHEDSTAT = "/proc/thread-self/schedstat"


class CpuWait:
    """The time that the thread which makes this object has waited for a CPU. Where Linux does not tell, it is 0. Any thread may read it."""

    def __init__(self) -> None:
        try:
            self._file: int | None = os.open(SCHEDSTAT, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._file = None

    def total_s(self) -> float:
        """Since the start of the thread. proc(5): nanoseconds on a CPU, nanoseconds waiting for one, number of turns."""
        if self._file is None:
            return 0.0
        return int(os.pread(self._file, 64, 0).split()[1]) / 1e9

    def close(self) -> None:
        """Measure no more. Other threads must not read it at the same time."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __del__(self) -> None:
        self.close()
