"""The `towpath` command and what its subcommands have in common."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from channel_layer.process.log_setup import NoLogConfig
from towpath.commands import listen_options, version
from towpath.config import foreign_options, unknown_variables, value_sources
from towpath.config.option_row import INTERFACE, PROCESSES
from towpath.errors import BadSetting, StartFailure
from towpath.runtime import process_markers

if TYPE_CHECKING:  # the processes that `serve` starts have no use for it
    from towpath.supervisord.launch import Launch

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 120}
APP = click.Argument(["app"], envvar="TOWPATH_APP", metavar="APP")
SERVE_ELSEWHERE = frozenset({"run", "start", "dev", "runserver"})  #: names of other servers for `serve`

ReleaseNames = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the command: its arguments and environment, before any file was read.

    release_names: called when the names of our packages may be the project's again. launch: the supervisord of a `serve`.
    """

    release_names: ReleaseNames
    arguments: tuple[str, ...]
    launch: Launch | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))


class Command(click.Command):
    """One of our subcommands. It understands a few words of other servers, and errors name a setting as it was written."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does it, with `-b` and `-w` as our options."""
        try:
            args = foreign_options.understood(args, {flag for param in self.params for flag in param.opts})
        except ValueError as error:
            ctx.fail(str(error))
        ctx.allow_extra_args = True  # click's sentence about them does not say what would be right
        rest = super().parse_args(ctx, args)
        if rest and not ctx.resilient_parsing:
            ctx.fail(f"{' '.join(rest)!r} is too much here: {_what_is_taken(self)}")
        if not ctx.resilient_parsing:
            listen_options.choose(ctx)
        if ctx.command.name in PROCESSES and not ctx.resilient_parsing and not ctx.params.get("check"):
            self._warn_of_mistyped_variables()
        return rest

    def _warn_of_mistyped_variables(self) -> None:
        """One line each, now that --env-file is read. A process of a `serve` leaves it to that."""
        from towpath.config.options import ROWS

        if process_markers.slot() is None:
            for name, meant in unknown_variables.mistyped(
                os.environ, [name for row in ROWS for name in (row.env, *row.also_env)]
            ).items():
                click.echo(f"towpath: no option has {name}; did you mean {meant}?", err=True)

    def invoke(self, ctx: click.Context) -> Any:
        """As click does it; a failure that a setting has led to names it."""
        try:
            return super().invoke(ctx)
        except BadSetting as failure:
            raise StartFailure(f"{failure}{self._origin(ctx, failure.option)}") from failure
        except NoLogConfig as failure:
            raise StartFailure(f"{failure}{self._origin(ctx, 'log_config')}") from failure

    def _origin(self, ctx: click.Context, name: str) -> str:
        """The end of a sentence about this option. Empty in a process of a `serve`: its variables were not written by the user."""
        if process_markers.slot() is not None:
            return ""
        param = next(param for param in self.params if param.name == name)
        where = value_sources.source(ctx, param)
        if where in (value_sources.DEFAULT, value_sources.COMMAND_LINE):
            return f" ({param.opts[0]}{' is at its default' * (where == value_sources.DEFAULT)})"
        return f" (from {where})"


def _what_is_taken(command: click.Command) -> str:
    """What a command takes beside options, for one that was given more."""
    if command.name == INTERFACE:
        return "an interface server loads no application, `towpath worker APP` does"
    if any(isinstance(param, click.Argument) for param in command.params):
        return "there is one APP, and names of options begin with --"
    return "a running `serve` is found by its --port, --uds, --run-dir or --config"


class Commands(click.Group):
    """Our subcommands. Other servers serve an APP without any."""

    command_class = Command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, with a hint if an APP or another server's command stands where the subcommand belongs."""
        app = args[1:] if args[0] in SERVE_ELSEWHERE else args if {":", "."} & {*args[0]} else None
        if args[0] == "restart":
            ctx.fail("No such command 'restart'. Did you mean: towpath reload")
        if app is not None:
            ctx.fail(f"No such command {args[0]!r}. Did you mean: towpath serve {' '.join(app) or 'APP'}")
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings=CONTEXT)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=version.show,
    help="Show the version, whether the core is compiled, and the Python; then exit.",
)
def towpath() -> None:
    """Sockets in interface servers, applications in workers, joined by Redis.

    Every option can also be set in the environment, --ws-max-size as TOWPATH_WS_MAX_SIZE, and in the file of --config, as ws-max-size.
    """
