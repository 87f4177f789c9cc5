"""The command that shows the settings in force: `config`."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

import click

from towpath.commands.group import Command, Commands, towpath
from towpath.config import settings_report, value_sources
from towpath.config.option_row import DEFAULTS, INTERFACE, SERVE, WORKER, Values
from towpath.config.options import ROWS, options_of
from towpath.config.settings_report import Setting

SHOWN = (SERVE, INTERFACE, WORKER)
MISSPELLED = 0.85  #: how near a word must be to one of them; `server` and `workers` are


class _ShownCommands(Commands):
    """`config serve`, `config interface` and `config worker`; without one of them the first is meant."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does it, with the command that is meant."""
        if args[:1] not in ([command] for command in (*SHOWN, "--help", "-h")):
            if meant := _meant_command(*args[:1]):
                ctx.fail(
                    f"No such command {args[0]!r}. Did you mean {meant}? {_setting_hint(args[0])}{_app_hint(args[0])}"
                )
            args = [SERVE, *args]
        return super().parse_args(ctx, args)


def _meant_command(text: str = "") -> str:
    """The command for which this text is misspelled, or all, if it is another one of ours. Empty for what may be an APP."""
    if text in towpath.commands:
        return f"`towpath config {'|'.join(SHOWN)}`"
    near = [] if text.startswith("-") else get_close_matches(text, SHOWN, 1, MISSPELLED)
    return f"`towpath config {near[0]}`" if near else ""


def _setting_hint(text: str) -> str:
    """One sentence if this is the name of a setting, else empty."""
    row = next((row for row in ROWS if row.in_file and row.key == text.replace("_", "-")), None)
    if row is None:
        return ""
    commands = " and ".join(f"`towpath config {command}`" for command in SHOWN if command in row.commands)
    return f"The setting {row.key} is a line of {commands}, which takes no names of settings. "


def _app_hint(text: str) -> str:
    return f"An APP of this name is written as {text}:application."


@towpath.group(cls=_ShownCommands, name="config")
def config() -> None:
    """Show each setting in force, its value, and where it comes from: as a TOML file, or as JSON. Secrets are not shown.

    `towpath config serve`, which is meant without a name, `interface` or `worker`; give the options that you would give that command.
    """


def _show(json_wanted: bool, app: str | None = None, **values: Any) -> int:
    ctx = click.get_current_context()
    command = str(ctx.command.name)
    params = {param.name: param for param in ctx.command.params}
    is_typed = app is not None and value_sources.source(ctx, params["app"]) == value_sources.COMMAND_LINE
    if app is not None and is_typed and (hint := _setting_hint(app)):
        ctx.fail(f"{app!r} stands where APP belongs. {hint}{_app_hint(app)}")
    settings = [Setting("app", app, value_sources.source(ctx, params["app"]))] if "app" in params else []
    for row in ROWS:
        if command in row.commands and row.in_file:
            value, source = _in_force(command, row.name, values, value_sources.source(ctx, params[row.name]))
            settings.append(settings_report.setting(row, value, source))
    click.echo(settings_report.as_json(settings) if json_wanted else settings_report.as_toml(command, settings))
    return 0


def _in_force(command: str, name: str, values: Values, source: str) -> tuple[Any, str]:
    """The value and its source; `--reload` changes some defaults, and processes without a `serve` have one for Redis."""
    from towpath.serve.serve_settings import WITH_RELOAD, unset

    if command == SERVE and values["reload"] and name in unset(values):
        return WITH_RELOAD[name], "default with --reload"
    if name == "redis" and values["redis"] is None and values["redis_url_file"] is None:
        return (None, "default: an embedded one") if command == SERVE else (DEFAULTS["redis"].url, source)
    return values[name], source


def _command(name: str) -> click.Command:
    app = [] if name == INTERFACE else [click.Argument(["app"], required=False, envvar="TOWPATH_APP", metavar="[APP]")]
    json_option = click.Option(["--json", "json_wanted"], is_flag=True, help="For programs.")
    shown = Command(name, params=[*app, json_option], callback=_show, help=f"The settings of `towpath {name}`.")
    return options_of(name)(shown)


for each in SHOWN:
    config.add_command(_command(each))
