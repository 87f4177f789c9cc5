"""How a command that cannot start reports why: on standard error, and to the `serve` that it belongs to."""

from __future__ import annotations

import click

from towpath.config import value_sources
from towpath.errors import STARTUP_FAILURE
from towpath.runtime import process_markers


def report(sentence: str) -> int:
    """Report it once, and return the exit code. An empty sentence was reported before, where it was found out."""
    if sentence:
        process_markers.leave_failure_marker(sentence)
        click.echo(f"towpath: {sentence}", err=True)
    return STARTUP_FAILURE


def sentence(error: click.ClickException) -> str:
    """What is wrong, with the setting named as its user wrote it: a flag, a variable, or a key of a file."""
    if isinstance(error, click.BadParameter) and error.ctx is not None and error.param is not None:
        error.param_hint = f"'{value_sources.as_written(error.ctx, error.param)}'"
    return error.format_message()
