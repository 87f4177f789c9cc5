"""Which running `serve` a command is for, found by its port, its unix socket or its run folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from channel_layer.settings import RedisSettings
from towpath.config import option_values
from towpath.config.option_row import Values
from towpath.errors import StartFailure
from towpath.runtime import run_dir, run_dir_pointer


def find(values: Values, or_else: str = "") -> tuple[Path, dict[str, Any]]:
    """Run folder and facts of the `serve` that is meant; ClickException if none runs there.

    A `serve` with an inherited socket is found by the address of that. or_else: the end of the sentence, with one more way to find it.
    """
    try:
        path = _path(values)
        facts = run_dir.facts(path)
    except StartFailure as failure:
        raise click.ClickException(str(failure)) from failure
    if facts is None:
        which = "--port, --uds or --run-dir selects one"
        raise click.ClickException(f"no `towpath serve` runs in {path}; {which}{or_else}")
    return path, facts


def redis_of(values: Values) -> tuple[str, str, Path | None]:
    """URL and prefix for `status`: those that were given, else those of a running `serve`, with its run folder.

    A variable (TOWPATH_REDIS, TOWPATH_REDIS_URL_FILE) is most likely set for that `serve`, and does not contain its prefix: so it
    counts where none runs.
    """
    found = _is_given("port", "uds", "run_dir") or _runs(values)
    for name in ("redis", "redis_url_file"):
        if _is_given(name):
            return values[name], values["prefix"], None
    if not found and (url := option_values.redis_url(values)) is not None:
        return url, values["prefix"], None
    path, facts = find(values, ", and --redis where processes run without it")
    if "redis" not in facts:
        raise click.ClickException(f"the `towpath serve` in {path} is only starting")
    return facts["redis"], facts["prefix"], path


def with_its_keys(values: Values, folder: Path | None) -> RedisSettings:
    """The settings for `status` with the encryption keys that were given, else with the key file of the `serve` in this folder."""
    given = option_values.settings_of(values)[1].redis
    facts = run_dir.facts(folder) if folder is not None else None
    if given.encryption_keys or given.encryption_key_file or facts is None:
        return given
    return dataclasses.replace(given, encryption_key_file=facts.get("encryption_key_file", ""))


def _path(values: Values) -> Path:
    if values["run_dir"] is not None:
        return Path(values["run_dir"])
    default = run_dir.default_path(values["port"], values["uds"], None)
    return default if run_dir.holder(default) is not None else run_dir_pointer.follow(default)


def _runs(values: Values) -> bool:
    try:
        return run_dir.holder(_path(values)) is not None
    except StartFailure:
        return False


def _is_given(*names: str) -> bool:
    """True if one of these options is on the command line."""
    source = click.get_current_context().get_parameter_source
    return any(source(name) is ParameterSource.COMMANDLINE for name in names)
