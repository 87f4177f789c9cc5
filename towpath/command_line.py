"""Runs one command, and turns each way in which it can fail into one sentence and an exit code."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from channel_layer.errors import LayerUnavailable
from channel_layer.process.log_setup import NoLogConfig
from towpath.commands import failures, processes
from towpath.commands.group import Call, ReleaseNames, towpath
from towpath.config import foreign_options
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
        for others in ("requests", "status"):
            importlib.import_module(f"towpath.commands.{others}")  # adds them
    try:
        code = towpath.main(list(call.arguments), prog_name="towpath", standalone_mode=False, obj=call)
        return code if isinstance(code, int) else 0
    except click.MissingParameter as error:
        error.show()
        return error.exit_code
    except click.NoSuchOption as error:
        answer = foreign_options.answer(error.option_name)
        (click.UsageError(f"{error.option_name}: {answer}", error.ctx) if answer else error).show()
        return error.exit_code
    except click.BadParameter as error:
        return failures.report(error.format_message() + _variable_of(error))
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return INTERRUPTED
    except (StartFailure, LayerUnavailable, NoLogConfig) as error:
        return failures.report(str(error))


def _variable_of(error: click.BadParameter) -> str:
    """The environment variable that a bad value came from; empty if it was an option."""
    names = error.param.envvar if error.param is not None else None
    if error.ctx is None or error.param is None or error.param.name is None or names is None:
        return ""
    if error.ctx.get_parameter_source(error.param.name) is not ParameterSource.ENVIRONMENT:
        return ""
    names = [names] if isinstance(names, str) else names
    return f" (from {next((name for name in names if os.environ.get(name)), names[0])})"
