"""The configuration of supervisord, as text.

It has only the shape: the programs, their numbers and their order. Options are passed in the environment, which no file has to
quote, and no list of processes shows (a Redis URL may contain a password).

* A lower priority starts earlier and stops later: interface servers leave first, then workers, the embedded server last.
* There are slots for as many processes as `scale` may ask for, and twice as many for workers: new ones start beside the old ones,
  which then leave. The slots that are needed at first are started with supervisord, others by `serve`; all are started again when they die.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from towpath.errors import STARTUP_FAILURE, StartFailure

DESCRIPTORS_CLOSED_BELOW = 200  #: supervisord's `minfds`; descriptors above are inherited by its children
KILL_AFTER_S = 5  #: from the end of the graceful time to SIGKILL
#: The one exit status after which supervisord does not retry: the process has reported why it cannot start. It would be tried again
#: without a pause, for ever, if finding that out had taken longer than a second; fleet/restart_backoff.py pauses in between.
NO_RETRY_STATUS = STARTUP_FAILURE
#: A process that lives this long has started; one that dies before is tried again with growing pauses.
STARTED_AFTER_S = 1

FILE_NAME, SOCKET_NAME = "supervisord.conf", "supervisord.sock"  #: in the run folder
NUMBER = "\0"  #: stands for the number of a slot, whose expansion is the only one of ours: no path or APP contains it
REDIS, INTERFACE, WORKER = "redis", "interface", "worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that the configuration depends on."""

    command: tuple[str, ...]  #: how `towpath` is started
    app: str
    run_dir: str
    socket: str | None  #: in the form of `fcgi-program`; None: the descriptor below is inherited
    socket_permissions: int = 0o666  #: of a unix socket
    descriptor: int = 0
    owns_socket: bool = True  #: False: it was inherited, and its owner may use it when this `serve` has ended
    backlog: int = 2048
    interfaces: int = 1
    workers: int = 1
    interfaces_max: int = 4
    workers_max: int = 4
    embedded: bool = True
    graceful_interface_s: float = 30.0
    graceful_worker_s: float = 30.0
    working_directory: str | None = None  #: entered by each worker anew; None: a worker stays where supervisord is
    worker_in_our_group: bool = False  #: the group of `serve`, which must not be killed as a whole
    user: str | None = None  #: supervisord demands that root is named explicitly


def slot_names(program: str, count: int) -> list[str]:
    """The names that supervisord gives to the processes of a program."""
    return [f"{program}-{number}" for number in range(count)]


def names(plan: Plan) -> list[str]:
    """The name of every process that there can be."""
    redis = [REDIS] if plan.embedded else []
    return [*redis, *interface_slots(plan), *worker_slots(plan)]


def interface_slots(plan: Plan) -> list[str]:
    """The slots of interface servers; the first ones are started."""
    return slot_names(INTERFACE, plan.interfaces_max)


def worker_slots(plan: Plan) -> list[str]:
    """The slots of workers; the first ones are started, the others are for more workers and for successors."""
    return slot_names(WORKER, 2 * plan.workers_max)


def started_first(plan: Plan) -> list[str]:
    """The processes that are started with supervisord, in this order: what takes longest to load comes first."""
    redis = [REDIS] if plan.embedded else []
    return [*interface_slots(plan)[: plan.interfaces], *redis, *worker_slots(plan)[: plan.workers]]


def render(plan: Plan) -> str:
    """The text of the configuration. StartFailure for a path or an APP that the format cannot hold."""
    sections = [_supervisord(plan)]
    if plan.embedded:
        sections.append(_redis(plan))
    sections += [_interface(plan), _worker(plan)]
    return "\n".join(sections)


def _supervisord(plan: Plan) -> str:
    return _section("supervisord", [
        ("nodaemon", "true"),
        ("logfile", "/dev/null"),
        ("logfile_maxbytes", "0"),
        ("loglevel", "warn"),
        ("pidfile", f"{plan.run_dir}/pids/.supervisord"),
        ("childlogdir", plan.run_dir),  # its default is this folder too, and a `%` in that is not doubled
        ("minfds", str(DESCRIPTORS_CLOSED_BELOW)),
        *([("user", plan.user)] if plan.user else []),
    ]) + "\n" + _section("unix_http_server", [
        ("file", f"{plan.run_dir}/{SOCKET_NAME}"),
        ("chmod", "0700"),
    ]) + "\n" + _section("rpcinterface:supervisor", [
        ("supervisor.rpcinterface_factory", "supervisor.rpcinterface:make_main_rpcinterface"),
    ])  # fmt: skip  # reads like the file that it becomes


def _redis(plan: Plan) -> str:
    command = (*plan.command, "embedded", plan.run_dir)
    return _section(f"program:{REDIS}", [
        ("command", shlex.join(command)),
        ("process_name", REDIS),
        ("priority", "10"),
        *_alive(REDIS, KILL_AFTER_S, plan, "true", "KILL"),  # it blocks other signals (runtime/embedded_redis.py), and keeps nothing
        ("autostart", "true"),
    ])  # fmt: skip


def _interface(plan: Plan) -> str:
    descriptor = 0 if plan.socket else plan.descriptor
    place = [("socket", plan.socket), ("socket_backlog", str(plan.backlog))] if plan.socket else []
    if plan.socket and plan.socket.startswith("unix:"):
        place.append(("socket_mode", f"{plan.socket_permissions:04o}"))
    return _section(f"{'fcgi-program' if plan.socket else 'program'}:{INTERFACE}", [
        ("command", shlex.join((*plan.command, "interface", "--fd", str(descriptor)))),
        *place,
        ("process_name", f"{INTERFACE}-{NUMBER}"),
        ("numprocs", str(len(interface_slots(plan)))),
        ("priority", "30"),
        *_alive(f"{INTERFACE}-{NUMBER}", plan.graceful_interface_s + KILL_AFTER_S, plan),
        ("autostart", "false"),
    ])  # fmt: skip


def _worker(plan: Plan) -> str:
    return _section(f"program:{WORKER}", [
        ("command", shlex.join((*plan.command, "worker", plan.app))),
        ("process_name", f"{WORKER}-{NUMBER}"),
        ("numprocs", str(len(worker_slots(plan)))),
        *_directory(plan),
        ("priority", "20"),
        *_alive(f"{WORKER}-{NUMBER}", plan.graceful_worker_s + KILL_AFTER_S, plan),
        ("autostart", "false"),
    ])  # fmt: skip


def _directory(plan: Plan) -> list[tuple[str, str]]:
    """The `directory` entry. A path that the format cannot hold is left out: its files are served all the same."""
    return (
        [("directory", plan.working_directory)]
        if plan.working_directory and _can_be_written(plan.working_directory)
        else []
    )


def _alive(
    log: str, stop_s: float, plan: Plan, restart: str = "unexpected", stop_signal: str = "TERM"
) -> list[tuple[str, str]]:
    return [
        ("autorestart", restart),
        ("exitcodes", str(NO_RETRY_STATUS)),
        ("startsecs", str(STARTED_AFTER_S)),
        ("stopsignal", stop_signal),
        ("stopwaitsecs", str(math.ceil(min(stop_s, 10**8)))),
        ("killasgroup", "false" if plan.worker_in_our_group else "true"),
        ("redirect_stderr", "true"),
        ("stdout_logfile", f"{_once_expanded(plan.run_dir)}/logs/{log}"),  # supervisor expands this entry twice
        ("stdout_logfile_maxbytes", "0"),
    ]


def _section(title: str, entries: Iterable[tuple[str, str | None]]) -> str:
    return "\n".join([f"[{title}]", *(f"{key}={_value(value or '')}" for key, value in entries)]) + "\n"


def _can_be_written(text: str) -> bool:
    return "\n" not in text and not any(f"{space}{mark}" in f" {text}" for space in " \t" for mark in ";#")


def _value(text: str) -> str:
    """A value in the form that the format needs. Comments cannot be quoted."""
    if not _can_be_written(text):
        raise StartFailure(f"{text!r} cannot be written into supervisord's configuration")
    return _once_expanded(text).replace(NUMBER, "%(process_num)d")


def _once_expanded(text: str) -> str:
    """What supervisor's expansion turns into `text`."""
    return text.replace("%", "%%")
