"""`towpath status`: which processes are alive, what waits, and what is wrong; once, each second, or as a web page."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from towpath.commands import running_serve
from towpath.commands.group import towpath
from towpath.config.option_row import STATUS
from towpath.config.options import options_of
from towpath.errors import StartFailure

if TYPE_CHECKING:  # redis-py, and what serves the page, are for this command alone
    from towpath.overview.observer import Observer
    from towpath.overview.page_access import PageAddress

WATCH_INTERVAL_S = 1.0
CLEAR_TERMINAL = "\x1b[H\x1b[2J"
DEFAULT_ADDRESS = "127.0.0.1:8808"
FOUND = 1  #: the exit code of --check


def _page_address(_context: click.Context, _parameter: click.Parameter, text: str | None) -> PageAddress | None:
    from towpath.overview.page_access import PageAddress

    try:
        return None if text is None else PageAddress.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@options_of(STATUS)
@towpath.command()
@click.option("--json", "json_wanted", is_flag=True, help="For programs.")
@click.option("--watch", is_flag=True, help="Again each second, with rates.")
@click.option("--check", is_flag=True, help="Exit with 1 if a finding is an error.")
@click.option(
    "--serve",
    "address",
    is_flag=False,
    flag_value=DEFAULT_ADDRESS,
    callback=_page_address,
    metavar="[HOST:PORT]",
    help=f"As a web page, at {DEFAULT_ADDRESS} unless told otherwise.",
)
def status(json_wanted: bool, watch: bool, check: bool, address: PageAddress | None, **values: Any) -> int:
    """Show which processes are alive, what waits, and what is wrong: of a running serve, or at --redis."""
    if ((check or json_wanted or watch) and address is not None) or (check and watch):
        raise click.UsageError("--serve stands alone, and --check looks once")
    observer = _observer(values)
    if address is not None:
        return _serve(observer, address)
    if watch:
        return _watch(observer, json_wanted)
    try:
        observation = observer.observe()
    except StartFailure as failure:
        if json_wanted:
            click.echo(_as_json(failure))
        raise
    click.echo(observation.json if json_wanted else observation.table)
    return FOUND if check and observation.has_error else 0


def _observer(values: dict[str, Any]) -> Observer:
    from towpath.overview.observer import Observer
    from towpath.status.redis_status import RedisStatus

    redis, prefix, folder = running_serve.redis_of(values)
    return Observer(RedisStatus(redis, prefix, running_serve.with_its_keys(values, folder)), folder)


def _watch(observer: Observer, json_wanted: bool) -> int:
    """Look again and again. It goes on without Redis, so that it shows when Redis is back."""
    clear = CLEAR_TERMINAL if sys.stdout.isatty() and not json_wanted else ""
    while True:
        try:
            observation = observer.observe()
            text = observation.json if json_wanted else observation.table
        except StartFailure as failure:
            text = _as_json(failure) if json_wanted else str(failure)
        click.echo(clear + text)
        try:
            time.sleep(WATCH_INTERVAL_S)
        except KeyboardInterrupt:
            return 0


def _as_json(failure: StartFailure) -> str:
    from towpath.overview.observer import Observation

    return Observation.without_redis(str(failure)).json


def _serve(observer: Observer, address: PageAddress) -> int:
    from towpath.overview.page_server import PageServer

    server = PageServer(address, observer)
    click.echo(f"the status page is at {server.page_address.url}; Ctrl-C ends it")
    if not address.is_loopback:
        click.echo("it has no password: any client that reaches this address can read it", err=True)
    return server.run()
