"""The commands that ask running processes for something: `stop`, `reload`, `scale` and `rebalance`."""

from __future__ import annotations

import re
import signal
from typing import Any

import click

from towpath.commands import running_serve
from towpath.commands.group import towpath
from towpath.config.option_row import REBALANCE, RELOAD, SCALE, STOP, Values
from towpath.config.options import options_of
from towpath.runtime import control_socket, run_dir

STOP_TIMEOUT_S = 3600.0


@options_of(STOP)
@towpath.command()
def stop(**values: Any) -> int:
    """Stop a running serve, and wait until it has gone."""
    path, _ = running_serve.find(values)
    running = run_dir.holder(path)
    if running is None:  # it has ended by itself
        return 0
    running.send(signal.SIGTERM)
    return 0 if running.wait_gone(STOP_TIMEOUT_S) else 1


@options_of(RELOAD)
@towpath.command()
def reload(**values: Any) -> int:
    """Replace the workers of a running serve, one at a time, by new ones with the present code and settings."""
    return _ask(values, {"do": "reload"})


@options_of(SCALE)
@towpath.command()
@click.argument("numbers", nargs=-1, required=True, metavar="worker=N [interface=N]")
def scale(numbers: tuple[str, ...], **values: Any) -> int:
    """Change how many workers or interface servers a running serve has."""
    counts = {}
    for text in numbers:
        match = re.fullmatch(r"(worker|interface)=(\d{1,6})", text)
        if match is None or match[1] in counts:
            raise click.UsageError(f"{text!r} is not worker=N or interface=N, each at most once")
        counts[match[1]] = int(match[2])
    return _ask(values, {"do": "scale", **counts})


@options_of(REBALANCE)
@towpath.command()
def rebalance(**values: Any) -> int:
    """Spread the resumable WebSockets over all workers: of a running serve, or at --redis."""
    from towpath.status.rebalance import Rebalance

    redis, prefix, folder = running_serve.redis_of(values)
    level = Rebalance(redis, prefix, running_serve.with_its_keys(values, folder))
    code, sentence = level.run(click.echo)
    click.echo(f"towpath: {sentence}" if code else sentence, err=bool(code))
    return code


def _ask(values: Values, asked: dict[str, Any]) -> int:
    """Ask a running `serve`, show its reports, and wait for its answer; the exit code."""
    path, _ = running_serve.find(values)
    code, sentence = control_socket.ask(path, asked, click.echo)
    click.echo(f"towpath: {sentence}" if code else sentence, err=bool(code))
    return code
