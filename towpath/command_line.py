"""The commands. Each finds its options in the table, checks what can be checked, and hands over to its room."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from channel_layer.errors import LayerUnavailable
from channel_layer.settings import WireSettings
from towpath import embedded, listening, options, processes, redis_check, run_dir
from towpath.errors import STARTUP_FAILURE, StartFailure
from towpath.options import INTERFACE, SERVE, STATUS, STOP, WORKER, options_of

REDIS_PATIENCE_S = 5.0  #: containers start together, and Redis is not always first
STOP_PATIENCE_S = 3600.0
WATCH_INTERVAL_S = 1.0
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 120}

Retire = Callable[[], None]


def run(arguments: Sequence[str], retire: Retire) -> int:
    """Run one command; its exit code. retire: called when the names of our packages may be the project's again."""
    code = _run(arguments, retire)
    if code == STARTUP_FAILURE:
        processes.leave_word_of_failure()
    return code


def _run(arguments: Sequence[str], retire: Retire) -> int:
    try:
        code = towpath.main(list(arguments), prog_name="towpath", standalone_mode=False, obj=retire)
        return code if isinstance(code, int) else 0
    except click.MissingParameter as error:
        error.show()
        return error.exit_code
    except click.BadParameter as error:
        return _complain(error.format_message())
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return 130
    except (StartFailure, LayerUnavailable) as error:
        return _complain(str(error))


def _complain(sentence: str) -> int:
    """Say it once; an empty sentence was said already by whoever found it out."""
    if sentence:
        click.echo(f"towpath: {sentence}", err=True)
    return STARTUP_FAILURE


APP = click.Argument(["app"], envvar="TOWPATH_APP", metavar="APP")


@click.group(context_settings=CONTEXT)
@click.version_option(version("towpath"), "--version", message="towpath %(version)s")
def towpath() -> None:
    """Sockets in interface servers, applications in workers, joined by Redis.

    Every option can also be set in the environment: --ws-max-size is TOWPATH_WS_MAX_SIZE.
    """


@options_of(SERVE)
@towpath.command(params=[APP])
def serve(app: str, **values: Any) -> int:
    """Serve APP (module:attribute) on this machine: Redis, interface servers, workers, kept alive."""
    from towpath import serve as parent

    settings = parent.ServeSettings(
        app=app,
        values=values,
        interfaces=values["interfaces"],
        workers=values["workers"],
        run_dir=_run_dir(values),
        redis=values["redis"],
        reload=_watched(values),
    )
    return parent.serve(settings)


@options_of(INTERFACE)
@towpath.command()
def interface(**values: Any) -> int:
    """Run one interface server: sockets here, applications elsewhere."""
    processes.enter()
    settings, _ = options.settings_of(values)
    listening.check(settings)
    redis_check.check(settings.wire.redis, REDIS_PATIENCE_S)
    from interface_server.__main__ import run as run_interface

    return run_interface(settings)


@options_of(WORKER)
@towpath.command(params=[APP])
@click.option("--check", is_flag=True, help="Load the application, say what is wrong with it, and leave.")
@click.pass_obj
def worker(retire: Retire, /, app: str, check: bool, **values: Any) -> int:
    """Run one worker: APP (module:attribute) for connections from any interface server."""
    # Everything of ours is imported before the application is: it may have packages of the same names.
    import worker.__main__ as room
    from worker import isolation
    from worker.errors import StartupError

    _, settings = options.settings_of({**values, "app": app})
    if not check:
        processes.enter()
        redis_check.check(settings.wire.redis, REDIS_PATIENCE_S)
    isolation.import_everything()
    retire()
    isolation.leave_names()
    try:
        if check:
            room.check(settings)
            return 0
        return room.run(settings)
    except StartupError as error:
        return _complain(str(error))


@options_of(STATUS)
@towpath.command()
@click.option("--json", "json_wanted", is_flag=True, help="For programs.")
@click.option("--watch", is_flag=True, help="Again each second, with rates.")
def status(json_wanted: bool, watch: bool, **values: Any) -> int:
    """Show who is alive and what waits: of a running serve, or at --redis."""
    from towpath.redis_status import RedisStatus
    from towpath.status import as_json, as_table

    looks = RedisStatus(*_where(values))
    before = None
    while True:
        now = looks.look()
        text = as_json(now) if json_wanted else as_table(now, before, WATCH_INTERVAL_S)
        click.echo(("\x1b[H\x1b[2J" if watch and not json_wanted and sys.stdout.isatty() else "") + text)
        if not watch:
            return 0
        before = now
        try:
            time.sleep(WATCH_INTERVAL_S)
        except KeyboardInterrupt:
            return 0


@options_of(STOP)
@towpath.command()
def stop(**values: Any) -> int:
    """Stop a running serve, and wait until it has gone."""
    path = _run_dir(values)
    facts = run_dir.facts(path)
    if facts is None:
        raise click.ClickException(f"no `towpath serve` runs in {path}")
    processes.send(facts["pid"], signal.SIGTERM)
    return 1 if processes.wait_gone([facts["pid"]], STOP_PATIENCE_S) else 0


@towpath.command("embedded", hidden=True)
@click.argument("folder", type=click.Path(path_type=Path))
def embedded_server(folder: Path) -> None:
    """Become the embedded server of a serve."""
    processes.enter()
    embedded.become(folder)


def _run_dir(values: options.Values) -> Path:
    if values["run_dir"] is not None:
        return Path(values["run_dir"])
    return run_dir.default_path(values["port"], values["uds"], values.get("fd"))


def _where(values: options.Values) -> tuple[str, str]:
    """URL and prefix for `status`: those that were given, else those of the `serve` that runs in the run folder."""
    facts = run_dir.facts(_run_dir(values)) if values["redis"] is None else None
    if facts is not None and "redis" in facts:
        return facts["redis"], facts["prefix"]
    return values["redis"] or WireSettings().redis, values["prefix"]


def _watched(values: options.Values) -> Any:
    if not values["reload"]:
        return None
    from towpath.reload_watch import Watched

    folders = values["reload_dir"] or (values["app_dir"],)
    return Watched(
        tuple(Path(folder).resolve() for folder in folders), values["reload_include"], values["reload_exclude"]
    )
