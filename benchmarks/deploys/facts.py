"""What the application has written down, read back."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Fact:
    name: str  #: of the request or the socket
    pid: int
    at_s: float  #: on the machine's monotonic clock


def read(folder: Path, word: str) -> list[Fact]:
    """All facts of a kind (started, post, disconnect), process by process."""
    lines = [line.split() for file in folder.glob(f"{word}-*") for line in file.read_text().split("\n")[:-1]]
    return [Fact(name, int(pid), float(at_s)) for name, pid, at_s in lines]


def repeated(facts: list[Fact]) -> int:
    """How many names stand there more than once."""
    return sum(count > 1 for count in Counter(fact.name for fact in facts).values())
