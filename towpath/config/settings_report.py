"""The settings of one command, each with its value and where that comes from: as a TOML file, and as JSON.

The text is itself a configuration file: what it says is what is in force, but for secrets, which are never shown.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from channel_layer.redis.address import shown as without_passwords
from channel_layer.redis.address_file import path_in
from towpath.config.config_file import shown
from towpath.config.option_row import Row
from towpath.config.option_types import EncryptionKeys, Header, PathOrOff, Size, UrlFile

UNITS = ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"))
HIDDEN = "***"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. value: as it is written in a configuration file; None if it is not set. secret: must not be used as it is shown."""

    key: str
    value: Any
    source: str
    secret: bool = False


def setting(row: Row, value: Any, source: str) -> Setting:
    """The setting of this option, with a value as the option has parsed it."""
    written = _written(row, value)
    return Setting(row.key, written, source, HIDDEN in str(written) and written != value)


def as_toml(command: str, settings: Sequence[Setting]) -> str:
    """A line for each setting. What is not set, and what is hidden, stands in a comment."""
    lines = [(_line(each), each.source) for each in settings]
    width = max(min(len(line), 48) for line, _ in lines)
    return "\n".join([f"[{command}]", *(f"{line.ljust(width)}  # {source}" for line, source in lines)])


def as_json(settings: Sequence[Setting]) -> str:
    """An object with an entry for each setting: its value, and where it comes from."""
    return json.dumps({each.key: {"value": each.value, "from": each.source} for each in settings}, ensure_ascii=False)


def _line(each: Setting) -> str:
    if each.value is None:
        return f"# {each.key}"
    return f"{'# ' * each.secret}{each.key} = {shown(each.value)}"


def _written(row: Row, value: Any) -> Any:
    """The value as it is written in a file, without secrets."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(row.type, EncryptionKeys):
        return HIDDEN if value else None
    if isinstance(row.type, Header):
        return [f"{name}: {content}" for name, content in value]
    if isinstance(row.type, PathOrOff):
        return value or "off"
    if isinstance(row.type, UrlFile):
        return str(path_in(value))
    if isinstance(row.type, Size):
        return _size(value)
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    return without_passwords(value) if row.name == "redis" else value


def _size(size_bytes: int) -> int | str:
    """With the largest unit that divides it."""
    return next(
        (f"{size_bytes // unit}{name}" for unit, name in UNITS if size_bytes and size_bytes % unit == 0), size_bytes
    )
