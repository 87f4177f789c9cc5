"""Runs one command, and turns each way in which it can fail into one sentence and an exit code."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from channel_layer.errors import LayerUnavailable
from towpath.commands import failures, processes
from towpath.commands.group import Call, ReleaseNames, towpath
from towpath.config import foreign_options, options
from towpath.errors import INTERRUPTED, STARTUP_FAILURE, StartFailure
from towpath.runtime import process_markers

if TYPE_CHECKING:  # as in group.py
    from towpath.supervisord.launch import Launch

#: The commands that run on. No process of theirs needs the others.
RUNNING = (processes.serve, processes.interface, processes.worker)


def run(arguments: Sequence[str], release_names: ReleaseNames, launch: Launch | None = None) -> int:
    """Run one command; its exit code.

    release_names: called when the names of our packages may be the project's again. launch: the supervisord of a `serve`.
    """
    code = _run(Call(release_names, tuple(arguments), launch))
    if code == STARTUP_FAILURE:
        process_markers.leave_failure_marker()
    return code


def _run(call: Call) -> int:
    if call.arguments[:1] not in [(command.name,) for command in RUNNING]:
        for others in ("requests", "shown_settings", "status"):
            importlib.import_module(f"towpath.commands.{others}")  # adds them
    try:
        code = towpath.main(list(call.arguments), prog_name="towpath", standalone_mode=False, obj=call)
        return code if isinstance(code, int) else 0
    except click.MissingParameter as error:
        error.show()
        return error.exit_code
    except click.NoSuchOption as error:
        _unknown_option(error).show()
        return error.exit_code
    except click.BadParameter as error:
        return failures.report(failures.sentence(error))
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return INTERRUPTED
    except (StartFailure, LayerUnavailable) as error:
        return failures.report(str(error))


def _unknown_option(error: click.NoSuchOption) -> click.ClickException:
    """The error with the message for an option of another server, or of another command of ours."""
    command = error.ctx.command if error.ctx is not None else click.Command("serve")
    known = {flag for param in command.params for flag in (*param.opts, *param.secondary_opts)}
    text = foreign_options.answer_of(error.option_name, command.name or "", known)
    commands = [] if text else options.commands_of(error.option_name)
    if commands and error.ctx is not None:
        text = f"not an option of `towpath {error.ctx.command.name}`, but of {' and '.join(commands)}"
    return click.UsageError(f"{error.option_name}: {text}", error.ctx) if text else error
