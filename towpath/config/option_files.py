"""The two options that name a file with further settings: --config (TOML) and --env-file (environment variables).

click asks in this order: command line, environment, default_map, default. A configuration file becomes the default_map; an env file
sets variables, where they are not set yet. So there is one order: command line, environment, --env-file, --config, default.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from towpath.config import value_sources
from towpath.config.option_row import Row
from towpath.errors import StartFailure

CONFIG = "config"


class OptionFiles:
    """Reads both files before any other option is read. --config comes first in the table, so that it may set `env-file`.

    rows: the table of options, which has these two in it and so is complete only later.
    """

    def __init__(self, rows: Callable[[], Sequence[Row]]) -> None:
        self._rows = rows

    @property
    def config(self) -> dict[str, Any]:
        """More for click about --config."""
        return {"is_eager": True, "callback": self._read_config}

    @property
    def env_file(self) -> dict[str, Any]:
        """More for click about --env-file."""
        return {"is_eager": True, "callback": self._load_env_file}

    def _read_config(self, ctx: click.Context, _param: click.Parameter, path: str | None) -> str | None:
        if path is not None and not ctx.resilient_parsing:
            self._take_config(ctx, path)
        return path

    def _load_env_file(self, ctx: click.Context, _param: click.Parameter, path: str | None) -> str | None:
        """It may set TOWPATH_… too. A variable that is already set keeps its value."""
        if path is None or ctx.resilient_parsing:
            return path
        from dotenv import load_dotenv

        before = set(os.environ)
        load_dotenv(path)
        value_sources.note_env_file(ctx, path, set(os.environ) - before)
        config = os.environ.get("TOWPATH_CONFIG")
        if config and CONFIG in ctx.params and ctx.params[CONFIG] is None:  # asked for before, when it was not set
            self._take_config(ctx, config)
            ctx.params[CONFIG] = config
            ctx.set_parameter_source(CONFIG, ParameterSource.ENVIRONMENT)
        return path

    def _take_config(self, ctx: click.Context, path: str) -> None:
        import tomllib  # here, as what follows: most processes have no such file

        from towpath.config import config_file

        text = ""
        try:
            text = Path(path).read_text("utf-8-sig")  # editors on Windows begin with a mark
            document = tomllib.loads(text)
        except OSError as error:
            raise StartFailure(f"the configuration file {path} cannot be read: {error.strerror}") from error
        except ValueError as error:  # no UTF-8, or no TOML
            if twice := _key_set_twice(text, str(error)):
                raise StartFailure(f"{path} has {twice} twice: {error}") from error
            hint = "; it is Python, and docs/migrating.md says what to write instead" if path.endswith(".py") else ""
            raise StartFailure(f"{path} is not a TOML file: {error}{hint}") from error
        found = config_file.read(document, ctx.command.name or "", self._rows(), path)
        value_sources.note_config(ctx, found)
        ctx.default_map = found.values


def _key_set_twice(text: str, error: str) -> str:
    """The key that this error of tomllib is about, which names its line alone; empty if it is another error."""
    if not error.startswith("Cannot overwrite a value"):
        return ""
    lines = text.splitlines()
    line = re.search(r"at line (\d+)", error)
    return lines[int(line[1]) - 1 if line else -1].partition("=")[0].strip()
