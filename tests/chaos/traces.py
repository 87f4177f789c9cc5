"""What the application wrote down, read back as values."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.outcomes import End, Start


def starts(folder: Path) -> tuple[Start, ...]:
    return tuple(Start(name, int(pid), int(instance)) for name, pid, instance in _lines(folder / "starts"))


def held(folder: Path, moment: str) -> tuple[Start, ...]:
    """Those that have met this moment while it was held open."""
    return tuple(Start(name, int(pid), int(instance)) for name, pid, instance in _lines(folder / f"held-{moment}"))


def ends(folder: Path) -> tuple[End, ...]:
    return tuple(End(name, int(pid), int(instance), int(code)) for name, pid, instance, code in _lines(folder / "ends"))


def _lines(path: Path) -> list[list[str]]:
    return [line.split() for line in whole_lines(path)]


def whole_lines(path: Path) -> list[str]:
    """Without the last, if it is just being written."""
    return path.read_text().split("\n")[:-1] if path.exists() else []
