"""The commands. Each finds its options in the table, checks what can be checked, and hands over to its room."""

from __future__ import annotations

import dataclasses
import faulthandler
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from channel_layer.errors import LayerUnavailable
from channel_layer.process.log_setup import NoLogConfig
from towpath import app_check
from towpath.config import foreign_options, options
from towpath.config.options import INTERFACE, RELOAD, SCALE, SERVE, STATUS, STOP, WORKER, options_of
from towpath.errors import INTERRUPTED, STARTUP_FAILURE, StartFailure
from towpath.rollout import pausing
from towpath.runtime import (
    control_socket,
    listen_address,
    process_markers,
    run_dir,
    run_dir_pointer,
    terminal,
    worker_environment,
)
from towpath.system import standard_streams

if TYPE_CHECKING:  # watchfiles is for those alone who asked for it
    from towpath.rollout.code_reload import Watched

STOP_TIMEOUT_S = 3600.0
WATCH_INTERVAL_S = 1.0
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 120}

Retire = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the command: what it was given, before any file was read. retire: see `run`."""

    retire: Retire
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))


def run(arguments: Sequence[str], retire: Retire) -> int:
    """Run one command; its exit code. retire: called when the names of our packages may be the project's again."""
    code = _run(Call(retire, tuple(arguments)))
    if code == STARTUP_FAILURE:
        process_markers.leave_failure_marker()
    return code


def _run(call: Call) -> int:
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
        return _complain(error.format_message() + _found_in(error))
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return INTERRUPTED
    except (StartFailure, LayerUnavailable, NoLogConfig) as error:
        return _complain(str(error))


def _found_in(error: click.BadParameter) -> str:
    """Who typed no option has to be told which variable said it."""
    names = error.param.envvar if error.param is not None else None
    if error.ctx is None or error.param is None or error.param.name is None or names is None:
        return ""
    if error.ctx.get_parameter_source(error.param.name) is not ParameterSource.ENVIRONMENT:
        return ""
    names = [names] if isinstance(names, str) else names
    return f" (from {next((name for name in names if os.environ.get(name)), names[0])})"


def _complain(sentence: str) -> int:
    """Say it once; an empty sentence was said already by whoever found it out."""
    if sentence:
        process_markers.leave_failure_marker(sentence)
        click.echo(f"towpath: {sentence}", err=True)
    return STARTUP_FAILURE


APP = click.Argument(["app"], envvar="TOWPATH_APP", metavar="APP")


SERVE_ELSEWHERE = frozenset({"run", "start", "dev", "runserver"})  #: what other servers call it


class Commands(click.Group):
    """Our commands. Others serve an APP without any."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, with a hint for an APP, or the word of another server, where the command belongs."""
        app = args[1:] if args[0] in SERVE_ELSEWHERE else args if {":", "."} & {*args[0]} else None
        if app is not None:
            ctx.fail(f"No such command {args[0]!r}. Did you mean: towpath serve {' '.join(app) or 'APP'}")
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings=CONTEXT)
@click.version_option(None, "--version", package_name="towpath", message="towpath %(version)s")
def towpath() -> None:
    """Sockets in interface servers, applications in workers, joined by Redis.

    Every option can also be set in the environment: --ws-max-size is TOWPATH_WS_MAX_SIZE.
    """


@options_of(SERVE)
@towpath.command(params=[APP])
@click.pass_obj
def serve(call: Call, /, app: str, **values: Any) -> int:
    """Serve APP (module:attribute) on this machine: Redis, interface servers, workers, kept alive."""
    from towpath.serve import serve as parent
    from towpath.serve.serve_settings import ServeSettings

    settings = ServeSettings(
        app=app,
        values=values,
        interfaces=values["interfaces"],
        workers=values["workers"],
        run_dir=_path(values["run_dir"]),
        redis=values["redis"],
        reload=_watched(values),
        read_again=lambda: _read_again(call),
    )
    return parent.serve(settings)


@options_of(INTERFACE)
@towpath.command()
def interface(**values: Any) -> int:
    """Run one interface server: sockets here, applications elsewhere."""
    process_markers.enter()
    settings, _ = options.settings_of(values)
    listen_address.check(settings)
    _find_redis(values, settings.redis.url)
    redis_settings = dataclasses.replace(settings.redis, app=os.environ.get(worker_environment.APP, ""))
    settings = dataclasses.replace(settings, redis=redis_settings)
    from interface_server.__main__ import run as run_interface

    return run_interface(settings, process_markers.listening_socket_is_unused, process_markers.is_supervised())


@options_of(WORKER)
@towpath.command(params=[APP])
@click.option("--check", is_flag=True, help="Load the application, say what is wrong with it, and leave.")
@click.pass_obj
def worker(call: Call, /, app: str, check: bool, **values: Any) -> int:
    """Run one worker: APP (module:attribute) for connections from any interface server."""
    # Everything of ours is imported before the application is: it may have packages of the same names.
    import worker.__main__ as room
    from worker.application import import_isolation
    from worker.errors import StartupError

    _, settings = options.settings_of({**values, "app": app})
    if not check:
        process_markers.enter()
        listen_address.close_handed_down()
        terminal.take()
        _find_redis(values, settings.redis.url)
        if not settings.redis.allow_mixed_apps:
            from towpath.status import mixed_apps

            mixed_apps.check(settings.redis.url, settings.redis.prefix, app)
    supervision = pausing.Supervision()
    import_isolation.import_everything()
    call.retire()
    import_isolation.release_package_names()
    hidden = import_isolation.hidden(settings.app_dir)
    if hidden:
        standard_streams.write(standard_streams.STANDARD_ERROR, f"towpath: {hidden}\n".encode())

    faulthandler.enable()  # a crash in C shows the line of Python that led there

    def load_or_run() -> int:
        try:
            if check:
                room.check(settings)
                return 0
            return room.run(settings, supervision)
        except StartupError as error:
            click.echo(error.detail, err=True, nl=False)
            return _complain(str(error))

    return app_check.in_child(app, load_or_run) if check else load_or_run()


@options_of(STATUS)
@towpath.command()
@click.option("--json", "json_wanted", is_flag=True, help="For programs.")
@click.option("--watch", is_flag=True, help="Again each second, with rates.")
def status(json_wanted: bool, watch: bool, **values: Any) -> int:
    """Show who is alive and what waits: of a running serve, or at --redis."""
    from towpath.status.redis_status import RedisStatus
    from towpath.status.report import Status, as_json, as_table

    redis, prefix, folder = _where(values)
    redis_status = RedisStatus(redis, prefix)
    before: Status | None = None
    while True:
        try:
            now = dataclasses.replace(redis_status.read(), wanted=_wanted(folder))
            text = as_json(now) if json_wanted else as_table(now, before, WATCH_INTERVAL_S)
            before = now
        except StartFailure as failure:
            if not watch or json_wanted:
                raise
            text = str(failure)  # whoever watches wants to see it come back
        click.echo(("\x1b[H\x1b[2J" if watch and not json_wanted and sys.stdout.isatty() else "") + text)
        if not watch:
            return 0
        try:
            time.sleep(WATCH_INTERVAL_S)
        except KeyboardInterrupt:
            return 0


@options_of(STOP)
@towpath.command()
def stop(**values: Any) -> int:
    """Stop a running serve, and wait until it has gone."""
    path, _ = _running(values)
    running = run_dir.holder(path)
    if running is None:  # it has ended by itself
        return 0
    running.send(signal.SIGTERM)
    return 0 if running.wait_gone(STOP_TIMEOUT_S) else 1


@options_of(RELOAD)
@towpath.command()
def reload(**values: Any) -> int:
    """Replace the workers of a running serve, one at a time, by new ones with the code and settings of now."""
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


def _ask(values: options.Values, asked: dict[str, Any]) -> int:
    """Ask a running serve, show what it tells, and wait until it is done."""
    path, _ = _running(values)
    code, sentence = control_socket.ask(path, asked, click.echo)
    click.echo(f"towpath: {sentence}" if code else sentence, err=bool(code))
    return code


def _read_again(call: Call) -> options.Values:
    """The options of `serve` as they are now: the same words, the same environment, what --env-file says today."""
    os.environ.clear()
    os.environ.update(call.environment)
    try:
        return serve.make_context("serve", list(call.arguments[1:]), obj=call).params
    except click.ClickException as error:
        raise StartFailure(error.format_message()) from error


def _find_redis(values: options.Values, url: str) -> None:
    """StartFailure if it is not there, or not fit; without --redis the sentence names that option."""
    from towpath.status import redis_check

    try:
        redis_check.check(url, values["redis_wait"], lambda sentence: click.echo(f"towpath: {sentence}", err=True))
    except StartFailure as failure:
        hint = "" if values["redis"] else "; say --redis where another is (`towpath serve` brings one of its own)"
        raise StartFailure(f"{failure}{hint}") from failure
    redis_check.check_rights(url, values["prefix"])


def _path(given: str | None) -> Path | None:
    return Path(given) if given is not None else None


def _running(values: options.Values, or_else: str = "") -> tuple[Path, dict[str, Any]]:
    """Run folder and facts of the `serve` that is meant. One with `--fd` is found by its --run-dir alone.

    or_else: what else may be said, if none runs there.
    """
    try:
        path = _place(values)
        facts = run_dir.facts(path)
    except StartFailure as failure:
        raise click.ClickException(str(failure)) from failure
    if facts is None:
        which = "--port, --uds or --run-dir says which one is meant"
        raise click.ClickException(f"no `towpath serve` runs in {path}; {which}{or_else}")
    return path, facts


def _place(values: options.Values) -> Path:
    if values["run_dir"] is not None:
        return Path(values["run_dir"])
    default = run_dir.default_path(values["port"], values["uds"], None)
    return default if run_dir.holder(default) is not None else run_dir_pointer.follow(default)


def _runs(values: options.Values) -> bool:
    try:
        return run_dir.holder(_place(values)) is not None
    except StartFailure:
        return False


def _where(values: options.Values) -> tuple[str, str, Path | None]:
    """URL and prefix for `status`: those that were given, else those of the `serve` that is meant, with its run folder.

    TOWPATH_REDIS is most likely there for that `serve`, and says nothing of its prefix: so it counts where none runs.
    """
    if _given("redis") or (values["redis"] is not None and not _given("port", "uds", "run_dir") and not _runs(values)):
        return values["redis"], values["prefix"], None
    path, facts = _running(values, ", and --redis where processes run without it")
    if "redis" not in facts:
        raise click.ClickException(f"the `towpath serve` in {path} is only starting")
    return facts["redis"], facts["prefix"], path


def _given(*names: str) -> bool:
    """On the command line."""
    source = click.get_current_context().get_parameter_source
    return any(source(name) is ParameterSource.COMMANDLINE for name in names)


def _wanted(folder: Path | None) -> dict[str, int]:
    """How many processes there ought to be, if a `serve` says it."""
    facts = run_dir.facts(folder) if folder is not None else None
    wanted: dict[str, int] = (facts or {}).get("wanted", {})
    return wanted


def _watched(values: options.Values) -> Watched | None:
    if not values["reload"]:
        return None
    from towpath.rollout.code_reload import Watched

    folders = values["reload_dir"] or (values["app_dir"],)
    return Watched(
        tuple(Path(folder).resolve() for folder in folders), values["reload_include"], values["reload_exclude"]
    )
