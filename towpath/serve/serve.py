"""`towpath serve`: everything on one machine. A small parent over supervisord, which keeps the processes alive.

    towpath serve ── supervisord ─┬─ redis          (unless --redis)
                                  ├─ interface-0 …  one listening socket, descriptor 0
                                  └─ worker-0 …

The parent finds out beforehand what could not work (the port, Redis), starts processes in order, gives up when the beginning
fails (the first worker finds out whether the application can be loaded), replaces workers, translates signals, and shows what all
of them say. It leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from channel_layer.redis.address import RedisAddress
from interface_server.settings import InterfaceSettings
from interface_server.transport.socket_options import remove_stale
from towpath.config import options
from towpath.errors import StartFailure
from towpath.runtime import embedded_redis as embedded
from towpath.runtime import listen_address as listening
from towpath.runtime import run_dir, terminal
from towpath.runtime.listen_address import Listening
from towpath.runtime.run_dir import LOGS, SUPERVISORD, RunDir
from towpath.runtime.run_dir_pointer import RunDirPointer
from towpath.runtime.worker_environment import APP, FROM_SUPERVISORD, GENERATION, PAUSES, RUN_DIR, WorkerEnvironment
from towpath.serve.log_pipes import LogPipes
from towpath.serve.startup_output import Opening
from towpath.supervisord import conf as supervisord_conf
from towpath.supervisord.conf import Plan
from towpath.system import processes, standard_streams, unix_sockets
from towpath.system import working_directory as started_in

if TYPE_CHECKING:  # what takes long to import is imported while supervisord starts
    from towpath.serve.code_reload import Watched
    from towpath.serve.supervision import Parent

COMMAND = (sys.executable, "-P", str(Path(__file__).resolve().parents[1] / "__main__.py"))
#: It asks for a folder for temporary files, and sweeps it: there may be none, and in the one of all users it has no business.
SUPERVISE = "import sys, tempfile; tempfile.tempdir = sys.argv.pop(1); from supervisor.supervisord import main; main()"
MORE = 4  #: `scale` may ask for so many times what there is at the beginning, unless said otherwise
#: With --reload, unless said otherwise: nobody wants to wait for an old connection, and a debugger may hold the event loop.
WITH_RELOAD = {"timeout_graceful_shutdown": 1.0, "worker_timeout": 0.0}


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """What `serve` was asked for. values: the options by name, for the processes; read_again: the same, as of now.

    run_dir: None for the folder that its place has by default.
    """

    app: str
    values: Mapping[str, Any]
    interfaces: int
    workers: int
    run_dir: Path | None
    redis: str | None
    reload: Watched | None
    read_again: Callable[[], Mapping[str, Any]]

    @property
    def door(self) -> InterfaceSettings:
        """Where clients come in, as it was asked for."""
        return options.settings_of(self.values)[0]

    @property
    def told(self) -> Mapping[str, Any]:
        """The options as the processes get them."""
        return self.as_told(self.values)

    def as_told(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """`values` with what --reload means where they say nothing else."""
        if self.reload is None:
            return values
        unsaid = {name: short for name, short in WITH_RELOAD.items() if values[name] == options.default_of(name)}
        return {**values, **unsaid}


class _AskedToStop(Exception):
    """SIGTERM came before there was anything to stop. SIGINT is a KeyboardInterrupt then, as everywhere."""


def serve(settings: ServeSettings) -> int:
    """Serve until asked to stop; the exit code. StartFailure when it cannot begin."""
    processes.raise_descriptor_limit()
    socket_path = Path(settings.values["uds"]).absolute() if settings.values.get("uds") else None
    signal.signal(signal.SIGTERM, _stop_early)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have started us deaf to it
    try:
        if socket_path is not None:
            unix_sockets.check_path(socket_path)
        found = _any_port(settings)
        place = _default_run_dir(settings, found)
        folder = RunDir.hold(settings.run_dir or place)
        pointer = RunDirPointer.write(place, folder.path)
        try:
            return _serve_in(folder, settings, found)
        finally:
            if pointer is not None:
                pointer.remove()
            folder.leave()
    except _AskedToStop:
        return 0


def _any_port(settings: ServeSettings) -> Listening | None:
    """Where we listen, if any port will do: found first, as it names the run folder.

    None for a fixed place. A killed `serve` may have left somebody there, and whoever holds the folder ends them first.
    """
    door = settings.door
    any_will_do = door.port == 0 and door.uds is None and door.fd is None
    return listening.prepare(door) if any_will_do else None


def _default_run_dir(settings: ServeSettings, found: Listening | None) -> Path:
    door = settings.door
    return run_dir.default_path(found.port if found else door.port, door.uds, door.fd)


def _serve_in(folder: RunDir, settings: ServeSettings, found: Listening | None) -> int:
    place = found or listening.prepare(settings.door)
    redis, redis_shown = _redis(folder, settings)
    environment = _environment(settings, settings.told, redis, folder)
    plan = _plan(folder, settings, place)
    conf = folder.path / supervisord_conf.FILE_NAME
    folder.folder.write(supervisord_conf.FILE_NAME, supervisord_conf.render(plan))
    folder.say(redis=redis, prefix=settings.values["prefix"], app=settings.app)
    with folder.folder.below(LOGS) as logs:
        pipes = LogPipes(logs, [*supervisord_conf.names(plan), SUPERVISORD])
    opening = Opening(settings.app, pipes, lambda: _greet(settings, place, redis_shown))
    supervisord = _start_supervisord(conf, environment, place.descriptor)
    folder.record(SUPERVISORD, supervisord.pid)
    try:
        parent = _parent(settings, folder, plan, supervisord, redis, environment, opening)
    except BaseException:  # a signal
        supervisord.terminate()
        supervisord.wait()
        raise
    assert supervisord.stdout is not None
    with supervisord.stdout as said:
        pipes.add(os.dup(said.fileno()), SUPERVISORD, parent.look_now)
    pipes.start()
    try:
        code = parent.run()
    finally:
        pipes.close()
        _remove_socket(settings.door)
    if parent.refusal is not None:
        opening.show_what_was_said(parent.refusal.name)
        raise StartFailure(parent.refusal.sentence)
    pipes.release()
    return code


def _parent(
    settings: ServeSettings,
    folder: RunDir,
    plan: Plan,
    supervisord: subprocess.Popen[bytes],
    redis: str,
    environment: Mapping[str, str],
    opening: Opening,
) -> Parent:
    from towpath.fleet.lease_watch import LeaseWatch
    from towpath.serve.supervision import Parent

    editions = WorkerEnvironment(folder.folder, environment)
    leases = LeaseWatch(settings.told["worker_timeout"])
    parent = Parent(
        folder, plan, supervisord, redis, settings.values["prefix"], editions, leases, settings.reload, opening
    )
    parent.rollout.check_command = (*COMMAND, "worker", settings.app, "--check")
    parent.rollout.variables = lambda: _variables_again(settings, plan, redis, folder, parent)
    return parent


def _redis(folder: RunDir, settings: ServeSettings) -> tuple[str, str]:
    """URL of Redis, and how it is shown."""
    if settings.redis is None:
        binary = embedded.find_binary()
        return embedded.url(folder.path), f"embedded {Path(binary).name}"
    from towpath.status import mixed_apps, redis_check

    kind = redis_check.check(settings.redis, settings.values["redis_wait"], standard_streams.say)
    redis_check.check_rights(settings.redis, settings.values["prefix"])
    if not settings.values["allow_mixed_apps"]:
        mixed_apps.check(settings.redis, settings.values["prefix"], settings.app)
    return settings.redis, f"{kind} at {RedisAddress.parse(settings.redis).shown}"


def _environment(settings: ServeSettings, told: options.Values, redis: str, folder: RunDir) -> dict[str, str]:
    """What the processes find in theirs: all options that were given, whichever way, once.

    And nothing of a supervisord that we run under ourselves: they would take its name for them for their own.
    """
    ours = {APP, PAUSES, terminal.VARIABLE, *(name for row in options.ROWS for name in (row.env, *row.also_env))}
    inherited = {
        name: value for name, value in os.environ.items() if name not in ours and not name.startswith(FROM_SUPERVISORD)
    }
    return {
        **inherited,
        **options.environment(told),
        "TOWPATH_REDIS": redis,
        APP: settings.app,
        RUN_DIR: str(folder.path),
        GENERATION: f"{socket.gethostname()}.{os.getpid()}/0",
        "PYTHONUNBUFFERED": "1",
        **({PAUSES: "1"} if settings.reload else {}),
        **terminal.offered(settings.workers),
    }


def _variables_again(settings: ServeSettings, plan: Plan, redis: str, folder: RunDir, parent: Parent) -> dict[str, str]:
    """As of now, and where we were started: from here on paths mean what they mean there. What `serve` itself heeds it heeds now."""
    started_in.enter(plan.started_in)
    now = settings.read_again()
    old = options.kept_back(settings.values, now)
    parent.rollout.tell_waiting(f"not heeded before `serve` is started again: {', '.join(old)}" if old else "")
    told = options.kept_for_workers(settings.told, settings.as_told(now))
    parent.leases.timeout_s = told["worker_timeout"]
    return _environment(settings, told, redis, folder)


def _greet(settings: ServeSettings, place: Listening, redis: str) -> None:
    interfaces = f"{settings.interfaces} interface server{'s' * (settings.interfaces > 1)}"
    workers = f"{settings.workers} worker{'s' * (settings.workers > 1)}"
    reload = "; workers restart when files change" if settings.reload else ""
    standard_streams.say(f"Towpath serves {settings.app} at {place.shown}")
    standard_streams.say(f"  {interfaces}, {workers}, {redis}{reload}. Ctrl-C stops all of it.")


def _plan(folder: RunDir, settings: ServeSettings, place: Listening) -> Plan:
    interface, worker = options.settings_of(settings.told)
    return Plan(
        command=COMMAND,
        app=settings.app,
        run_dir=str(folder.path),
        started_in=started_in.name(),
        socket=place.supervised,
        socket_permissions=place.permissions,
        descriptor=place.descriptor or 0,
        owns_socket=interface.fd is None,
        backlog=interface.backlog,
        interfaces=settings.interfaces,
        workers=settings.workers,
        interfaces_max=max(settings.interfaces, settings.values["interfaces_max"] or MORE * settings.interfaces),
        workers_max=max(settings.workers, settings.values["workers_max"] or MORE * settings.workers),
        embedded=settings.redis is None,
        graceful_interface_s=interface.graceful_timeout_s,
        graceful_worker_s=worker.graceful_timeout_s,
        worker_in_our_group=bool(terminal.offered(settings.workers)),
        user="root" if os.getuid() == 0 else None,
    )


def _start_supervisord(conf: Path, environment: Mapping[str, str], descriptor: int | None) -> subprocess.Popen[bytes]:
    """In a process group of its own: Ctrl-C reaches it through us alone."""
    return subprocess.Popen(
        # Its own warnings are nobody's here; with PYTHONWARNINGS=error they would end every call of it.
        [sys.executable, "-P", "-W", "ignore", "-c", SUPERVISE, str(conf.parent), "-n", "-c", str(conf)],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        process_group=0,
        pass_fds=() if descriptor is None else (descriptor,),
        preexec_fn=processes.end_with_parent,
    )


def _remove_socket(door: InterfaceSettings) -> None:
    """The unix socket that our supervisor made; not one at which somebody listens by now."""
    if door.uds is not None and door.fd is None:
        with contextlib.suppress(OSError):
            remove_stale(Path(door.uds).absolute())


def _stop_early(_number: int, _frame: FrameType | None) -> NoReturn:
    raise _AskedToStop
