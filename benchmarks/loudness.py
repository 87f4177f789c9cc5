"""Says how loud the machine is: the CPU that the bench's own client needs for one unit of work, beside the least that it ever needed here.

The client does the same work each time. Where it needs more, the machine's neighbours take caches and cycles from all that run on it, and
the figures of that round say more about them than about the servers. Rows whose client is a part of what they measure are not judged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from benchmarks.figures import CLIENT, Sample

LOUD = 1.3  #: a round that is louder is repeated, by default

Round = Mapping[str, Sample]  #: by contestant


class CalmestClient:
    """The least CPU of the client, in µs per unit, by row and contestant.

    limit: a round that is louder does not count. file: keeps all from one run of the bench to the next.
    """

    def __init__(self, file: Path | None = None, limit: float = LOUD) -> None:
        self.limit = limit
        self._file = file
        self._least_us: dict[str, float] = json.loads(file.read_text()) if file is not None and file.exists() else {}

    def learn(self, row: str, contestant: str, sample: Sample) -> None:
        """Record a sample."""
        spent_us = sample.cpu_us.get(CLIENT, 0.0)
        key = _key(row, contestant)
        if spent_us > 0:
            self._least_us[key] = min(spent_us, self._least_us.get(key, spent_us))

    def save(self) -> None:
        """Write it to its file."""
        if self._file is not None:
            self._file.parent.mkdir(exist_ok=True)
            self._file.write_text(json.dumps(self._least_us, indent=1))

    def loudness(self, row: str, samples: Round) -> float:
        """How loud the machine was in a round, by its loudest sample. 1: as calm as ever, or not known."""
        return max((self._of(row, contestant, sample) for contestant, sample in samples.items()), default=1.0)

    def _of(self, row: str, contestant: str, sample: Sample) -> float:
        least_us = self._least_us.get(_key(row, contestant))
        return sample.cpu_us.get(CLIENT, 0.0) / least_us if least_us else 1.0


def _key(row: str, contestant: str) -> str:
    return f"{row} {contestant}"
