"""What one option is: its name, its meaning, its commands, and the setting that it fills."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import click

from channel_layer.settings import RedisSettings
from interface_server.settings import InterfaceSettings
from towpath.config.option_types import Seconds, TrueOrFalse, Whole
from towpath.config.service_links import OptionIgnoringLinks
from worker.settings import WorkerSettings

SERVE, INTERFACE, WORKER, STATUS, STOP = "serve", "interface", "worker", "status", "stop"
RELOAD, SCALE, REBALANCE = "reload", "scale", "rebalance"
PROCESSES = frozenset({SERVE, INTERFACE, WORKER})
FOR_INTERFACE = frozenset({SERVE, INTERFACE})
FOR_WORKER = frozenset({SERVE, WORKER})
ONLY_SERVE = frozenset({SERVE})
ONLY_WORKER = frozenset({WORKER})
FIND_SERVE = frozenset({SERVE, STATUS, STOP, RELOAD, SCALE, REBALANCE})
#: Commands that read the leases, also where processes run without a `serve`.
FIND_REDIS = frozenset({STATUS, REBALANCE})

SECONDS = Seconds()
TRUE_OR_FALSE = TrueOrFalse()
COUNT = Whole(min=1, max=10**6)
#: More for click about an option that may be repeated.
MANY: dict[str, Any] = {"multiple": True}

DEFAULTS: dict[str, Any] = {"redis": RedisSettings(), "interface": InterfaceSettings(), "worker": WorkerSettings()}

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One option. `fills`: the settings it becomes, as `interface.port`; `more`: what only click needs to know."""

    flags: str
    commands: frozenset[str]
    help: str
    fills: tuple[str, ...] = ()
    type: Any = None
    _: KW_ONLY
    more: dict[str, Any] = field(default_factory=dict)
    also_env: tuple[str, ...] = ()
    in_file: bool = True  #: may stand in a configuration file
    passed_on: bool = True  #: to the processes of a `serve`; a file that it has read is not, since its values are
    #: The meaning for commands that search for a running `serve`, if it is another one there.
    elsewhere: str = ""

    @property
    def name(self) -> str:
        """The name of the parameter: `--ws-max-size` is `ws_max_size`."""
        return self.flags.split("/")[0].lstrip("-").replace("-", "_")

    @property
    def key(self) -> str:
        """Its name in a configuration file: `ws-max-size`."""
        return self.name.replace("_", "-")

    @property
    def env(self) -> str:
        """Its name in the environment."""
        return f"TOWPATH_{self.name.upper()}"

    @property
    def is_flag(self) -> bool:
        """True if the option takes no value on the command line: it is there, or it is not."""
        return "/" in self.flags or bool(self.more.get("is_flag"))

    @property
    def default(self) -> Any:
        """The value of an option that is not given: that of the settings, unless the row has another."""
        if "default" in self.more or not self.fills:
            return self.more.get("default")
        group, _, attribute = self.fills[0].partition(".")
        return getattr(DEFAULTS[group], attribute)

    def option(self, command: str = SERVE) -> click.Option:
        """The option, as click wants it for `command`."""
        more = {name: value for name, value in self.more.items() if name != "default"}
        default = self.default
        if default is not None and not more.get("multiple"):
            more["default"] = default
            more.setdefault("show_default", default != "")
        if self.type is not None:
            more["type"] = self.type
        elif self.is_flag:
            more["type"] = TRUE_OR_FALSE
        env = [self.env, *self.also_env]
        text = self.elsewhere if self.elsewhere and command not in PROCESSES else self.help
        return OptionIgnoringLinks([self.flags], help=text, envvar=env, show_envvar=False, **more)
