"""Turns option values into settings, into variables for other processes, and into the difference that a reload makes."""

from __future__ import annotations

import dataclasses
from typing import Any

from channel_layer.settings import RedisSettings
from interface_server.settings import InterfaceSettings
from towpath.config.option_row import DEFAULTS, FOR_WORKER, INTERFACE, WORKER, Row, Values
from towpath.config.option_types import EncryptionKeys, Header, PathOrOff
from towpath.config.options import ROWS
from towpath.errors import BadSetting
from worker.settings import WorkerSettings


def settings_of(values: Values) -> tuple[InterfaceSettings, WorkerSettings]:
    """The settings of both process packages, from option names and values; an option that is missing keeps its default."""
    fields: dict[str, dict[str, Any]] = {"redis": {}, "interface": {}, "worker": {"app": values.get("app", "")}}
    for row in ROWS:
        value = values.get(row.name)
        for target in row.fills if value is not None else ():
            group, _, attribute = target.partition(".")
            fields[group][attribute] = value
    redis_settings = RedisSettings(**fields["redis"])
    return (
        dataclasses.replace(DEFAULTS["interface"], redis=redis_settings, **fields["interface"]),
        dataclasses.replace(DEFAULTS["worker"], redis=redis_settings, **fields["worker"]),
    )


def redis_url(values: Values) -> str | None:
    """Where Redis is, by --redis or --redis-url-file; None if neither is given. BadSetting if both are."""
    url, file = values.get("redis"), values.get("redis_url_file")
    if url is not None and file is not None:
        raise BadSetting(
            "--redis (TOWPATH_REDIS) and --redis-url-file (TOWPATH_REDIS_URL_FILE) both say where Redis is; give one of them",
            "redis_url_file",
        )
    return file if url is None else url


def redis_option(values: Values) -> str:
    """The option that says where Redis is."""
    return "redis" if values.get("redis_url_file") is None else "redis_url_file"


def merged_for_workers(began: Values, now: Values) -> dict[str, Any]:
    """The options for workers that start later: those of `now`, but those that interface servers have too as they `began`.

    Both must agree on them (Redis, prefix, waits), and interface servers are not replaced.
    """
    return {**began, **{row.name: now[row.name] for row in ROWS if _is_for_workers(row)}}


def ignored_changes(began: Values, now: Values) -> list[str]:
    """The changed options that take effect only when `serve` itself is started again."""
    known = [row for row in ROWS if row.name in began and row.name in now]
    return [row.flags.split("/")[0] for row in known if began[row.name] != now[row.name] and not _is_for_workers(row)]


def _is_for_workers(row: Row) -> bool:
    return row.commands >= FOR_WORKER and INTERFACE not in row.commands


def environment(values: Values) -> dict[str, str]:
    """The options that differ from their default, as variables that `interface` and `worker` read as the same options."""
    variables = {}
    for row in ROWS:
        value = values.get(row.name)
        is_theirs = row.passed_on and row.commands & {INTERFACE, WORKER}
        if is_theirs and value is not None and value != () and value != row.default:
            variables[row.env] = _as_text(row, value)
    return variables


def _as_text(row: Row, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(row.type, Header):
        return Header.envvar_list_splitter.join(f"{name}:{content}" for name, content in value)
    if isinstance(row.type, EncryptionKeys):
        return " ".join(value)
    if isinstance(row.type, PathOrOff):
        return str(value) or "off"
    return str(value)
