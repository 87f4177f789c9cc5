"""The log lines of `serve` itself, in the form of all others."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from channel_layer.log_format.json_line import wrapped
from towpath.system import standard_streams

NAME, LOGGER = "serve", "towpath.serve"
SHOWN_MAX = 3  #: names in one line


def log_as_json() -> None:
    """Write every line of `serve` on standard output as a JSON object from now on."""
    standard_streams.frame_lines(_as_json)


def log(text: str) -> None:
    """One line on standard output."""
    standard_streams.write_line(text, NAME)


def log_warning(text: str) -> None:
    """The same for what may become an error."""
    standard_streams.write_line(text, NAME, "WARNING")


def log_error(text: str) -> None:
    """The same for what has failed."""
    standard_streams.write_line(text, NAME, "ERROR")


def _as_json(text: str, level: str) -> str:
    return wrapped(text.encode(errors="replace"), NAME, datetime.now(UTC).timestamp(), LOGGER, level).decode()


def shortened(names: Sequence[str]) -> str:
    """The first names, as text."""
    return f"{', '.join(names[:SHOWN_MAX])}{' …' if len(names) > SHOWN_MAX else ''}"
