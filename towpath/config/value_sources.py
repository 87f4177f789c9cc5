"""Where the value of an option comes from, as its user wrote it: a flag, a variable, or a key of a file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from towpath.config.service_links import is_link

if TYPE_CHECKING:  # where there is no such file, its reader is not needed
    from towpath.config.config_file import ConfigFile

_CONFIG, _ENV_FILE = "towpath.config", "towpath.env_file"
DEFAULT, COMMAND_LINE = "default", "command line"


def note_config(ctx: click.Context, config: ConfigFile) -> None:
    """Remember which options the configuration file has set."""
    ctx.meta[_CONFIG] = config


def note_env_file(ctx: click.Context, path: str, variables: Iterable[str]) -> None:
    """Remember which variables come from this file."""
    ctx.meta[_ENV_FILE] = path, frozenset(variables)


def source(ctx: click.Context, param: click.Parameter) -> str:
    """`default`, `command line`, `TOWPATH_PORT`, `TOWPATH_PORT in .env`, or `serve.port in site.toml`."""
    kind = ctx.get_parameter_source(param.name or "")
    if kind is ParameterSource.COMMANDLINE:
        return COMMAND_LINE
    if kind is ParameterSource.ENVIRONMENT:
        variable = _variable(param)
        path, names = ctx.meta.get(_ENV_FILE, ("", frozenset()))
        return f"{variable} in {path}" if variable in names else variable
    if kind is ParameterSource.DEFAULT_MAP:
        config: ConfigFile = ctx.meta[_CONFIG]
        return f"{config.keys[param.name or '']} in {config.path}"
    return DEFAULT


def as_written(ctx: click.Context, param: click.Parameter) -> str:
    """The name of the setting, as its user wrote it; the flag if it is at its default."""
    where = source(ctx, param)
    if where in (COMMAND_LINE, DEFAULT):
        return param.opts[0] if isinstance(param, click.Option) else param.human_readable_name
    return where


def _variable(param: click.Parameter) -> str:
    """The first of its variables that has a value."""
    names = [param.envvar] if isinstance(param.envvar, str) else [*(param.envvar or ())]
    set_ones = (name for name in names if os.environ.get(name) and not is_link(os.environ[name]))
    return next(set_ones, names[0] if names else "")
