"""The log lines of `serve` itself, in the form of all others."""

from __future__ import annotations

from collections.abc import Sequence

from towpath.system import standard_streams

SHOWN_MAX = 3  #: names in one line


def log(text: str) -> None:
    """One line on standard output."""
    standard_streams.write_line(f"{'serve':<11} | {text}")


def shortened(names: Sequence[str]) -> str:
    """The first names, as text."""
    return f"{', '.join(names[:SHOWN_MAX])}{' …' if len(names) > SHOWN_MAX else ''}"
