"""One log line in JSON: an object on a line of its own, in ASCII, whatever its texts contain.

Programs split logs at different characters (U+2028 is one of them), and terminals obey some: everything beyond ASCII is escaped. Half a
surrogate pair, which many parsers refuse, is shown as text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime

OUTPUT = "output"  #: the logger of a line that came as text

ENCODER = json.JSONEncoder(default=str)  #: made once: `json.dumps` would make one for each line

#: From the words of supervisord to the levels of `logging`; other text has none.
LEVELS = {"CRIT": "CRITICAL", "ERRO": "ERROR", "WARN": "WARNING"}
LEVEL = re.compile(rf"[\d-]+ [\d:,]+ ({'|'.join(LEVELS)}) ")


def json_line(fields: Mapping[str, object]) -> str:
    """The object of these fields, without the end of the line. Fields that are None are left out."""
    return ENCODER.encode({name: _plain(value) for name, value in fields.items() if value is not None})


def utc_text(seconds: float) -> str:
    """A moment in RFC 3339, in UTC, from seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def wrapped(line: bytes, process: str, now: float, logger: str = OUTPUT, level: str = "INFO") -> bytes:
    """A line of a process as JSON: unchanged if it is an object already, else as the message of one.

    now: seconds since 1970. level: unless supervisord has written one into the line.
    """
    if line.startswith(b"{") and _parsed(line) is not None:
        return line
    text = line.decode("utf-8", "backslashreplace")
    found = LEVEL.match(text)
    level = LEVELS[found[1]] if found is not None else level
    fields = {"time": utc_text(now), "level": level, "logger": logger, "process": process, "message": text}
    return json_line(fields).encode()


def unwrapped(line: bytes) -> bytes:
    """The text that `wrapped` has made a message; any other line unchanged."""
    fields = _parsed(line)
    if fields is None or fields.get("logger") != OUTPUT:
        return line
    return str(fields.get("message", "")).encode()


def _parsed(line: bytes) -> dict[str, object] | None:
    """The object on this line; None if it is anything else."""
    try:
        value = json.loads(line.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON")


def _plain(value: object) -> object:
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-8", "backslashreplace").decode()
    return value
