"""The commands that run on: `serve`, `interface` and `worker`."""

from __future__ import annotations

import dataclasses
import faulthandler
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from towpath import app_check
from towpath.commands import failures
from towpath.commands.group import APP, Call, towpath
from towpath.config import option_values
from towpath.config.option_row import INTERFACE, SERVE, WORKER, Values
from towpath.config.options import options_of
from towpath.errors import BadSetting, StartFailure
from towpath.runtime import (
    admin_ports,
    handed_down,
    listen_address,
    listening_report,
    passed_socket,
    process_markers,
    terminal,
    worker_environment,
)
from towpath.system import service_manager, standard_streams
from towpath.system.absent_modules import absent, hollow
from towpath.system.paused_collector import collector_paused

#: Modules that libraries of the interface server import, and that nothing uses there. Twisted names cookies. With cffi Autobahn parses the
#: declarations of its C code, which only a build and its validator of UTF-8 need, and we do not use that (frame_parser.py); WAMP, URLs and
#: pages of HTML are for its other protocols and for handshakes.
UNUSED_BY_INTERFACE = ("http.cookiejar", "cffi", "autobahn.wamp", "autobahn.wamp.types", "hyperlink", "html")

WITH_RELOAD_ONLY = ("reload_dir", "reload_include", "reload_exclude")

if TYPE_CHECKING:  # watchfiles is imported under --reload only
    from channel_layer.settings import RedisSettings
    from towpath.rollout.code_reload import Watched
    from worker.settings import WorkerSettings


@options_of(SERVE)
@towpath.command(params=[APP])
@click.pass_obj
def serve(call: Call, /, app: str, **values: Any) -> int:
    """Serve APP (module:attribute) on this machine: Redis, interface servers, workers, kept alive."""
    with collector_paused():
        from towpath.serve import serve as parent
        from towpath.serve.serve_settings import ServeSettings

    values = _with_passed_socket(values)
    settings = ServeSettings(
        app=app,
        values=values,
        interfaces=values["interfaces"],
        workers=values["workers"],
        run_dir=Path(values["run_dir"]) if values["run_dir"] is not None else None,
        redis=option_values.redis_url(values),
        reload=_watched(values),
        read_again=lambda: {**_read_again(call), "fd": values["fd"]},
    )
    return parent.serve(settings, call.launch)


@options_of(INTERFACE)
@towpath.command()
def interface(**values: Any) -> int:
    """Run one interface server: sockets here, applications elsewhere."""
    process_markers.enter()
    settings, _ = option_values.settings_of(_with_passed_socket(values))
    listen_address.check(settings)
    port = settings.port if settings.uds is None and settings.fd is None else 0
    slot, admin = process_markers.slot(), settings.redis
    admin_ports.check_apart(admin.admin_port, [slot], admin.admin_host, settings.host, port)
    redis_settings = _with_own_port(settings.redis)
    # pyOpenSSL is 12 MiB for TLS, which no client speaks to us.
    with collector_paused(), absent("OpenSSL"), hollow(*UNUSED_BY_INTERFACE):
        from interface_server.__main__ import run as run_interface

    _find_redis(values, settings.redis)  # now: the embedded server has started meanwhile
    redis_settings = dataclasses.replace(redis_settings, app=os.environ.get(worker_environment.APP, ""))
    settings = dataclasses.replace(settings, redis=redis_settings)
    return run_interface(
        settings,
        process_markers.listening_socket_is_unused,
        process_markers.is_supervised(),
        listening_report.ListeningReport(service_manager.of_this_process()),
    )


@options_of(WORKER)
@towpath.command(params=[APP])
@click.option("--check", is_flag=True, help="Load the application, report what is wrong with it, and leave.")
@click.pass_obj
def worker(call: Call, /, app: str, check: bool, **values: Any) -> int:
    """Run one worker: APP (module:attribute) for connections from any interface server."""
    # Everything of ours is imported before the application is: it may have packages of the same names.
    with collector_paused():
        import worker.__main__ as worker_main
        from towpath.rollout import worker_supervision
        from worker.application import import_isolation
        from worker.errors import StartupError

        import_isolation.import_everything()

    _, settings = option_values.settings_of({**values, "app": app})
    if settings.channel_delivery == "at-least-once" and not settings.channels:
        sentence = f"--channel-delivery {settings.channel_delivery} is for the messages of --channel"
        raise BadSetting(sentence, "channel_delivery")
    if settings.channel_dead_letter in settings.channels:
        sentence = f"--channel-dead-letter {settings.channel_dead_letter} is one of the channels that are received"
        raise BadSetting(sentence, "channel_dead_letter")
    if not check:
        process_markers.enter()
        settings = dataclasses.replace(settings, redis=_with_own_port(settings.redis))
        _join_serve(settings, values, app)
    supervision = worker_supervision.Supervision(service_manager.of_this_process())
    _release_names(call, settings)
    faulthandler.enable()  # a crash in C shows the line of Python that led there

    def load_or_run() -> int:
        try:
            if check:
                worker_main.check(settings)
                return 0
            return worker_main.run(settings, supervision)
        except StartupError as error:
            click.echo(error.detail, err=True, nl=False)
            return failures.report(str(error))

    return app_check.in_child(app, load_or_run) if check else load_or_run()


def _with_own_port(settings: RedisSettings) -> RedisSettings:
    """The settings with the admin port of this process; under `serve` each has its own. BadSetting if it cannot listen there."""
    if not settings.admin_port:
        return settings
    slot = process_markers.slot()
    listen_address.check_admin(settings.admin_host, settings.admin_port, slot)
    return dataclasses.replace(settings, admin_port=admin_ports.of_slot(settings.admin_port, slot))


def _join_serve(settings: WorkerSettings, values: Values, app: str) -> None:
    """Join the `serve` that started this worker, before it loads the application. Raises StartFailure if the worker cannot work."""
    handed_down.close_handed_down()
    terminal.take()
    _find_redis(values, settings.redis)
    if not settings.redis.allow_mixed_apps and not settings.channels:
        from towpath.status import mixed_apps

        mixed_apps.check(settings.redis.url, settings.redis.prefix, app, settings.redis)


def _release_names(call: Call, settings: WorkerSettings) -> None:
    """Let the project have the names of our packages, all of which were imported."""
    from worker.application import import_isolation

    call.release_names()
    import_isolation.release_package_names()
    hidden = import_isolation.hidden(settings.app_dir)
    if hidden:
        standard_streams.write(standard_streams.STANDARD_ERROR, f"towpath: {hidden}\n".encode())


def _with_passed_socket(values: Values) -> dict[str, Any]:
    """`values`, with the socket that systemd passes to this process as `fd`. StartFailure if it cannot be the one to listen on."""
    context = click.get_current_context()
    given = {name for name in values if context.get_parameter_source(name) is not ParameterSource.DEFAULT}
    descriptor = passed_socket.descriptor(given)
    return {**values} if descriptor is None else {**values, "fd": descriptor}


def _read_again(call: Call) -> Values:
    """The options of `serve` as they are now: the same arguments and environment, and what --env-file contains today."""
    os.environ.clear()
    os.environ.update(call.environment)
    try:
        return serve.make_context("serve", list(call.arguments[1:]), obj=call).params
    except click.ClickException as error:
        raise StartFailure(failures.sentence(error)) from error


def _find_redis(values: Values, settings: RedisSettings) -> None:
    """StartFailure if Redis cannot be reached or used; without --redis the sentence names that option."""
    from towpath.status import other_keys, redis_check

    url = settings.url
    given = option_values.redis_url(values)
    hint = "" if given else "; use --redis if another one is meant (`towpath serve` brings one of its own)"

    try:
        redis_check.check(
            url, values["redis_wait"], lambda sentence: click.echo(f"towpath: {sentence}{hint}", err=True)
        )
    except StartFailure as failure:
        if given:
            raise BadSetting(str(failure), option_values.redis_option(values)) from failure
        raise StartFailure(f"{failure}{hint}") from failure
    redis_check.check_rights(url, values["prefix"])
    other_keys.check(url, settings.prefix, settings)


def _watched(values: Values) -> Watched | None:
    if not values["reload"]:
        for name in WITH_RELOAD_ONLY:
            if values[name]:
                click.echo(f"towpath: --{name.replace('_', '-')} has no effect without --reload", err=True)
        return None
    from towpath.rollout.code_reload import Watched

    folders = values["reload_dir"] or (values["app_dir"],)
    settings = [Path(values[name]) for name in ("config", "env_file") if values[name]]
    return Watched(
        tuple(Path(folder).resolve() for folder in folders),
        values["reload_include"],
        values["reload_exclude"],
        frozenset(path for file in settings for path in (file.absolute(), file.resolve())),
    )
