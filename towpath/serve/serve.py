"""`towpath serve`: everything on one machine. A small parent over supervisord, which keeps the processes alive.

    towpath serve ── supervisord ─┬─ redis          (unless --redis)
                                  ├─ interface-0 …  one listening socket, descriptor 0
                                  └─ worker-0 …

The parent checks beforehand what could fail (the port, Redis), lets supervisord start the processes, gives up when the start fails (the
first worker shows whether the application can be loaded), replaces workers, translates signals, and shows the output of all
processes. It leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from channel_layer.redis.address_file import address_source
from interface_server.transport.unix_socket_file import remove_stale
from towpath.config import option_values
from towpath.errors import BadSetting, StartFailure
from towpath.runtime import admin_ports, embedded_redis, listen_address, run_dir
from towpath.runtime.listen_address import ListenAddress
from towpath.runtime.run_dir import LOGS, SUPERVISORD, RunDir
from towpath.runtime.run_dir_pointer import RunDirPointer
from towpath.serve import process_environment, serve_log, supervisord_start
from towpath.serve.log_pipes import LogPipes
from towpath.serve.serve_settings import ServeContext, ServeSettings
from towpath.serve.startup_output import StartupOutput
from towpath.supervisord import conf as supervisord_conf
from towpath.supervisord.conf import Plan
from towpath.supervisord.launch import Launch
from towpath.system import standard_streams, unix_sockets

if TYPE_CHECKING:  # what takes long to import is imported while supervisord starts
    from towpath.serve.supervision import Parent


class _AskedToStop(Exception):
    """SIGTERM came before there was anything to stop. SIGINT raises KeyboardInterrupt then, as in any program."""


def serve(settings: ServeSettings, launch: Launch | None = None) -> int:
    """Serve until asked to stop; the exit code. StartFailure when it cannot begin.

    launch: a supervisord that was launched before, and that waits.
    """
    launch = launch or Launch()
    if settings.logs_json:
        serve_log.log_as_json()
    signal.signal(signal.SIGTERM, _stop_early)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have started us with this signal ignored
    try:
        if settings.socket_path is not None:
            unix_sockets.check_path(settings.socket_path)
        return _serve_in_run_dir(settings, _any_port(settings), launch)
    except _AskedToStop:
        return 0
    finally:
        launch.drop()


def _any_port(settings: ServeSettings) -> ListenAddress | None:
    """The listen address, if any free port will do: found first, as the run folder is named after it.

    None for a fixed address. A process of a killed `serve` may listen there still; acquiring the run folder ends it first.
    """
    listen = settings.listen
    any_will_do = listen.port == 0 and listen.uds is None and listen.fd is None
    return listen_address.prepare(listen) if any_will_do else None


def _serve_in_run_dir(settings: ServeSettings, found: ListenAddress | None, launch: Launch) -> int:
    default = _default_run_dir(settings, found)
    folder = RunDir.acquire(settings.run_dir or default)
    pointer = RunDirPointer.write(default, folder.path)
    try:
        return _serve(folder, settings, found or listen_address.prepare(settings.listen), launch)
    finally:
        if pointer is not None:
            pointer.remove()
        folder.release()


def _default_run_dir(settings: ServeSettings, found: ListenAddress | None) -> Path:
    listen = settings.listen
    port, uds = listen.port, listen.uds
    if listen.fd is not None:
        port, uds = listen_address.of_inherited(listen.fd)
    return run_dir.default_path(found.port if found else port, uds, listen.fd)


def _serve(folder: RunDir, settings: ServeSettings, address: ListenAddress, launch: Launch) -> int:
    plan = supervisord_start.plan(folder, settings, address)
    _check_admin_ports(settings, plan, address.port)
    redis, redis_label = _redis(folder, settings)
    context = ServeContext(settings, folder, address, redis, plan)
    environment = process_environment.first(context)
    key_file = settings.redis_settings.encryption_key_file
    with run_dir.usable(folder.path):
        conf = supervisord_start.write_configuration(context)
        folder.publish_facts(redis=redis, prefix=context.prefix, app=settings.app, encryption_key_file=key_file)
        pipes = _pipes(context)
        folder.record(SUPERVISORD, launch.pid)  # before it starts anything: the next `serve` ends what is left
    output = StartupOutput(settings.app, pipes, lambda: _greet(context, redis_label))
    try:
        supervisord = launch.run(conf, environment, supervisord_conf.started_first(plan), address.descriptor)
        from towpath.serve.supervision import Parent  # now: supervisord works meanwhile

        parent = Parent(context, supervisord, environment, output)
    except BaseException:  # a signal
        launch.end()
        raise
    _read_logs_of(supervisord, pipes, parent)
    return _run(parent, settings, pipes, output)


def _check_admin_ports(settings: ServeSettings, plan: Plan, port: int) -> None:
    """BadSetting unless each slot can have an admin port, and the first processes can listen on theirs. port: for clients."""
    first, host = settings.admin_port, settings.redis_settings.admin_host
    if not first:
        return
    interfaces, workers = supervisord_conf.interface_slots(plan), supervisord_conf.worker_slots(plan)
    admin_ports.check(first, len(interfaces), len(workers))
    admin_ports.check_apart(first, [*interfaces, *workers], host, settings.listen.host, port)
    for slot in (*interfaces[: plan.interfaces], *workers[: plan.workers]):
        listen_address.check_admin(host, first, slot)


def _redis(folder: RunDir, settings: ServeSettings) -> tuple[str, str]:
    """The URL of Redis, and the text by which it is shown."""
    if settings.redis is None:
        binary = embedded_redis.find_binary()
        return embedded_redis.url(folder.path), f"embedded {Path(binary).name}"
    from towpath.status import mixed_apps, other_keys, redis_check

    try:
        kind = redis_check.check(settings.redis, settings.values["redis_wait"], standard_streams.write_line)
    except StartFailure as failure:
        raise BadSetting(str(failure), option_values.redis_option(settings.values)) from failure
    redis_check.check_rights(settings.redis, settings.values["prefix"])
    other_keys.check(settings.redis, settings.values["prefix"], settings.redis_settings)
    if not settings.values["allow_mixed_apps"]:
        mixed_apps.check(settings.redis, settings.values["prefix"], settings.app, settings.redis_settings)
    return settings.redis, f"{kind} at {address_source(settings.redis).current().shown}"


def _pipes(context: ServeContext) -> LogPipes:
    with context.folder.folder.below(LOGS) as logs:
        names = [*supervisord_conf.names(context.plan), SUPERVISORD]
        return LogPipes(logs, names, as_json=context.settings.logs_json)


def _greet(context: ServeContext, redis: str) -> None:
    settings = context.settings
    interfaces = f"{settings.interfaces} interface server{'s' * (settings.interfaces > 1)}"
    workers = f"{settings.workers} worker{'s' * (settings.workers > 1)}"
    reload = "; workers restart when files change" if settings.reload else ""
    standard_streams.write_line(f"Towpath serves {settings.app} at {context.address.label}")
    standard_streams.write_line(f"  {interfaces}, {workers}, {redis}{reload}. Ctrl-C stops all of it.")
    if first := settings.admin_port:
        workers_from = admin_ports.of_slot(first, "worker-0")
        host = settings.redis_settings.admin_host
        at = f"http://{f'[{host}]' if ':' in host else host}:{first}/metrics"
        standard_streams.write_line(f"  Metrics of interface-0 at {at}, of worker-0 at port {workers_from}, and so on.")


def _read_logs_of(supervisord: subprocess.Popen[bytes], pipes: LogPipes, parent: Parent) -> None:
    assert supervisord.stdout is not None
    with supervisord.stdout as stdout:
        pipes.add(os.dup(stdout.fileno()), SUPERVISORD, parent.poll_soon)
    pipes.start()


def _run(parent: Parent, settings: ServeSettings, pipes: LogPipes, output: StartupOutput) -> int:
    try:
        code = parent.run()
    finally:
        pipes.close()
        _remove_socket(settings)
    if parent.failure is not None:
        output.show_held(parent.failure.name)
        raise StartFailure(parent.failure.sentence)
    pipes.release()
    return code


def _remove_socket(settings: ServeSettings) -> None:
    """Remove the unix socket that our supervisor made, unless another process listens on it by now."""
    if settings.socket_path is not None and settings.listen.fd is None:
        with contextlib.suppress(OSError):
            remove_stale(settings.socket_path)


def _stop_early(_number: int, _frame: FrameType | None) -> NoReturn:
    raise _AskedToStop
