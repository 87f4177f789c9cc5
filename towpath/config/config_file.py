"""What a TOML file says about the options of one command: a value for each option, or one sentence about what is wrong in it.

    app = "mysite.asgi"          # keys are the names of the options; those at the top are for every command that has them
    forwarded-allow-ips = "*"

    [serve]                      # what stands here is for `towpath serve`, and comes before the same key at the top
    workers = 4
    ws-max-size = "1MiB"

The whole file is checked, whichever command reads it. Whether a value is in range is for the option to decide.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from towpath.config import foreign_options
from towpath.config.option_row import INTERFACE, PROCESSES, SERVE, WORKER, Row
from towpath.config.option_types import Seconds, Size, TrueOrFalse, Whole
from towpath.errors import StartFailure

TABLES = (SERVE, INTERFACE, WORKER)
APP = "app"
SHOWN_CHARACTERS_MAX = 80
#: A key with such a part may hold a secret, also if it is none of ours.
SECRET = re.compile("redis|key|pass|secret|token|url")


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The values for one command, by name of the option, and the key under which each stands in the file of this path."""

    path: str
    values: dict[str, Any] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kind:
    """What may stand behind a key: its types in TOML, and how that is said, with an example."""

    types: tuple[type, ...]
    name: str
    example: str

    def fits(self, value: object) -> bool:
        """True if the value is of this kind. For Python a boolean is a number; for a setting it is none."""
        return isinstance(value, self.types) and (bool in self.types or not isinstance(value, bool))


FLAG = Kind((bool,), "true or false", "true")
WHOLE = Kind((int,), "a whole number, without quotes", "4")
SECONDS = Kind((int, float), "a number of seconds, without quotes", "30")
SIZE = Kind((int, str), "a number of bytes, or a size in quotes", '"1MiB"')
TEXT = Kind((str,), "a text in quotes", '"…"')
TEXTS = Kind((list,), "a list of texts", '["…"]')


def read(document: Mapping[str, Any], command: str, rows: Sequence[Row], path: str) -> ConfigFile:
    """The values for `command`; StartFailure if anything in the file is wrong. Commands that search for a `serve` have its table."""
    table = command if command in TABLES else SERVE
    found = ConfigFile(path)
    top = {key: value for key, value in document.items() if key not in TABLES or _is_option(key, value)}
    _Section(path, "", rows).take(top, found, command)
    for name in TABLES:
        content = document.get(name, {})
        if name not in top and not isinstance(content, dict):
            raise StartFailure(f"{path}: {name} = {shown(content)} is no setting; [{name}] is a table of settings")
        if name not in top:
            into = found if name == table else ConfigFile(path)
            _Section(path, name, rows).take(content, into, command if name == table else name)
    return found


def shown(value: object, secret: bool = False) -> str:
    """The value as TOML writes it."""
    if secret:
        return "…"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
    elif isinstance(value, list | tuple):
        text = f"[{', '.join(map(shown, value))}]"
    elif isinstance(value, dict):
        text = f"{{{', '.join(f'{key} = {shown(each, _may_be_secret(key))}' for key, each in value.items())}}}"
    else:
        text = str(value)
    return text


def kind_of(row: Row) -> Kind:
    """What may stand behind the key of this option."""
    if row.more.get("multiple"):
        return TEXTS
    if row.is_flag or isinstance(row.type, TrueOrFalse):
        return FLAG
    for kind, types in ((WHOLE, Whole), (SECONDS, Seconds), (SIZE, Size)):
        if isinstance(row.type, types):
            return kind
    return TEXT


def nearest(name: str, known: Sequence[str]) -> str:
    """The name that was most likely meant; empty if none is near."""
    from difflib import get_close_matches  # only where something is wrong

    return next(iter(get_close_matches(name.replace("_", "-"), known, 1)), "")


class _Section:
    """One table of the file, or its top (an empty name)."""

    def __init__(self, path: str, name: str, rows: Sequence[Row]) -> None:
        self._path, self._name = path, name
        self._commands = frozenset({name}) if name else PROCESSES
        self._rows = {row.key: row for row in rows if row.commands & PROCESSES and row.in_file}

    def take(self, content: Mapping[str, Any], found: ConfigFile, command: str) -> None:
        """Check every key, and add what is for `command`."""
        for key, value in content.items():
            row = self._rows.get(key)
            if key == APP and self._commands & {SERVE, WORKER}:
                self._check_kind(key, value, TEXT, "mysite.asgi")
            elif row is None or not row.commands & self._commands or (isinstance(value, dict) and not self._name):
                raise StartFailure(self._unknown(key, value, row))
            else:
                self._check_kind(key, value, kind_of(row), row.default)
            if (row is None and command in (SERVE, WORKER)) or (row is not None and command in row.commands):
                name = key.replace("-", "_")
                found.values[name] = value
                found.keys[name] = f"{self._name}.{key}" if self._name else key

    def _check_kind(self, key: str, value: Any, kind: Kind, default: Any) -> None:
        if kind.fits(value) and (kind is not TEXTS or all(isinstance(each, str) for each in value)):
            return
        example = shown(default) if default not in (None, "", ()) and kind.fits(default) else kind.example
        raise StartFailure(f"{self._line(key, value)} is not {kind.name}, such as {key} = {example}")

    def _unknown(self, key: str, value: Any, row: Row | None) -> str:
        line = self._line(key, value)
        if isinstance(value, dict) and not self._name:
            return f"{self._path}: [{key}] is no table of settings; there are [serve], [interface] and [worker]"
        if row is not None:
            return f"{line}: {key} is a setting of {_listed(sorted(row.commands & PROCESSES))}"
        if key == "config":
            return f"{line} is no setting: a configuration file cannot name another"
        if key.startswith("no-") and key.removeprefix("no-") in self._rows:
            return f"{line} is no setting; write {key.removeprefix('no-')} = false"
        if answer := foreign_options.answer(f"--{key.replace('_', '-')}"):
            return f"{line} is no setting of Towpath: {answer}"
        near = nearest(key, [key for key, row in self._rows.items() if row.commands & self._commands])
        hint = f"did you mean {near}?" if near else "`towpath config` lists those there are"
        return f"{line} is no setting; {hint}"

    def _line(self, key: str, value: Any) -> str:
        """The line as it stands in the file, but for what must not be shown."""
        row = self._rows.get(key)
        text = shown(value, _may_be_secret(key) and (row is None or kind_of(row) is TEXT))
        if len(text) > SHOWN_CHARACTERS_MAX:
            text = f"{text[:SHOWN_CHARACTERS_MAX]}…"
        return f"{self._path}: {f'[{self._name}] ' if self._name else ''}{key} = {text}"


def _is_option(key: str, value: object) -> bool:
    """True for `interface = "wsgi"`, the one option that is called as a command is."""
    return key == INTERFACE and not isinstance(value, dict)


def _may_be_secret(key: str) -> bool:
    return SECRET.search(key.lower()) is not None and not key.endswith("-file")


def _listed(names: Sequence[str]) -> str:
    return " and ".join(f"`{name}`" for name in names)
