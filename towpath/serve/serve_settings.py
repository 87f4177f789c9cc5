"""The settings of one `towpath serve`, and what it has found out before it starts anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from channel_layer.settings import RedisSettings
from interface_server.settings import InterfaceSettings
from towpath.config import option_values, options
from towpath.runtime.listen_address import ListenAddress
from towpath.runtime.run_dir import RunDir
from towpath.supervisord.conf import Plan
from towpath.system import unix_sockets

if TYPE_CHECKING:  # watchfiles is imported under --reload only
    from towpath.rollout.code_reload import Watched

#: Defaults with --reload: a developer does not want to wait for old connections, and a debugger may block the event loop.
WITH_RELOAD = {"timeout_graceful_shutdown": 1.0, "worker_timeout": 0.0}


def unset(values: Mapping[str, Any]) -> list[str]:
    """The options that --reload changes and that are at their default."""
    return [name for name in WITH_RELOAD if values[name] == options.default_of(name)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """The options of one `serve`.

    values: the options by name, as they were given; read_again: returns them as they are now.
    run_dir: None for the default folder of the listen address.
    """

    app: str
    values: Mapping[str, Any]
    interfaces: int
    workers: int
    run_dir: Path | None
    redis: str | None
    reload: Watched | None
    read_again: Callable[[], Mapping[str, Any]]

    @property
    def listen(self) -> InterfaceSettings:
        """The listen address and its settings, as they were given."""
        return option_values.settings_of(self.values)[0]

    @property
    def redis_settings(self) -> RedisSettings:
        """What the processes have in common, as it was given."""
        return option_values.settings_of(self.values)[1].redis

    @property
    def admin_port(self) -> int:
        """The first of the admin ports; 0 if there are none."""
        port: int = self.values["admin_port"]
        return port

    @property
    def logs_json(self) -> bool:
        """True if each line on standard output is a JSON object."""
        return bool(self.values["log_format"] == "json")

    @property
    def socket_path(self) -> Path | None:
        """The path of the unix socket to listen on, if one was given."""
        return unix_sockets.one_path(self.values["uds"]) if self.values.get("uds") else None

    @property
    def process_options(self) -> Mapping[str, Any]:
        """The options that the processes get."""
        return self.with_reload_defaults(self.values)

    def with_reload_defaults(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """`values`, where those that --reload changes and that were left at their default are changed."""
        if self.reload is None:
            return values
        return {**values, **{name: WITH_RELOAD[name] for name in unset(values)}}


@dataclass(frozen=True, slots=True)
class ServeContext:
    """One `serve` that is about to start its processes. redis: the URL."""

    settings: ServeSettings
    folder: RunDir
    address: ListenAddress
    redis: str
    plan: Plan

    @property
    def prefix(self) -> str:
        """The prefix of every Redis key."""
        prefix: str = self.settings.values["prefix"]
        return prefix
