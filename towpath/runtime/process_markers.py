"""What a process of a `serve` leaves in the run folder for `serve` to read, and the other way round.

    pids/<name>           that it is there (processes.py)
    pids/.<name>.failed   that it cannot start, and why: supervisord tells nobody the exit code of whoever it tries again
    pids/.<name>.loaded   that it has loaded the application
    pids/.<name>.wish     that it asks for its successor, and why
    pids/.<name>.leave    that this process alone is to leave, and others stay
    stopping              that all of it stops; in it, whether the listening socket is of use to nobody any more

Which process one is, and of which `serve`, stands in the environment. A process that runs alone leaves no marks.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from towpath.errors import StartFailure
from towpath.runtime.worker_environment import RUN_DIR, SLOT
from towpath.system.private_folder import PrivateFolder
from towpath.system.processes import Identity, end_with_parent, raise_descriptor_limit

HOLDER, RECORDS, STOPPING = "serve", "pids", "stopping"
OUR_SOCKET = "our socket"


def enter() -> None:
    """What every process of ours does first: room for sockets; and under `serve`, be known and do not outlive it."""
    raise_descriptor_limit()
    if not _own_names():
        return
    parent = os.getppid()
    end_with_parent()
    if os.getppid() != parent:
        raise StartFailure("the supervisor has gone")
    with contextlib.suppress(OSError), _own() as (folder, name):
        remove_markers(folder, name)
        folder.write(record_of(name), f"{Identity.of(os.getpid())}")


def leave_failure_marker(sentence: str = "") -> None:
    """Tell `serve` that this process cannot start."""
    if _own_names():
        with contextlib.suppress(OSError), _own() as (folder, name):
            if sentence or not folder.has(failure_marker(name)):
                folder.write(failure_marker(name), sentence)


def ask_for_successor(why: str) -> bool:
    """Tell `serve` that this process should be replaced. False: it runs alone, and nobody could send a successor first."""
    if not _own_names():
        return False
    try:
        with _own() as (folder, name):
            if recorded(folder, HOLDER) is None:
                return False
            folder.write(replacement_request_marker(name), why)
    except OSError:
        return False
    return True


def mark_loaded() -> None:
    """Tell `serve` that this process has loaded the application."""
    if _own_names():
        with contextlib.suppress(OSError), _own() as (folder, name):
            folder.write(loaded_marker(name), "")


def everything_stops() -> bool | None:
    """True if the `serve` of this process stops as a whole; False if others stay, or this process runs alone.

    None while `serve` has said neither: somebody else may have told all processes at once, or this one.
    """
    if not _own_names():
        return False
    try:
        with _own() as (folder, name):
            return True if folder.has(STOPPING) else False if folder.has(leave_marker(name)) else None
    except FileNotFoundError:  # `serve` stops when its folder has gone
        return True
    except OSError:
        return False


def listening_socket_is_unused() -> bool | None:
    """The same of the listening socket: False also if somebody else brought it, and may want it afterwards."""
    stops = everything_stops()
    if not stops:
        return stops
    try:
        with _own() as (folder, _):
            return folder.read(STOPPING) == OUR_SOCKET
    except OSError:
        return False


def interface_servers_live() -> bool:
    """True if an interface server of the same `serve` is alive."""
    try:
        with _own() as (folder, _):
            names = [record_of(name) for name in folder.names(RECORDS) if name.startswith("interface-")]
            return any(recorded(folder, name) is not None for name in names)
    except OSError:
        return False


def is_supervised() -> bool:
    """True if supervisord stands above: that of a `serve`, or of somebody's own."""
    return SLOT in os.environ


def recorded(folder: PrivateFolder, name: str) -> Identity | None:
    """The process that a file names, if it is still that process and alive."""
    return Identity.parse(read_marker(folder, name) or "")


def read_marker(folder: PrivateFolder, name: str) -> str | None:
    """What stands in a mark; None if it is not there."""
    try:
        return folder.read(name)
    except (OSError, ValueError):
        return None


def record_of(slot: str) -> str:
    """Where a process is written down. Names are relative to the run folder."""
    return f"{RECORDS}/{slot}"


def failure_marker(slot: str) -> str:
    """Where a process says that it cannot start, and why."""
    return f"{RECORDS}/.{slot}.failed"


def loaded_marker(slot: str) -> str:
    """Where a process says that it has loaded the application."""
    return f"{RECORDS}/.{slot}.loaded"


def replacement_request_marker(slot: str) -> str:
    """Where a process asks for its successor, and says why."""
    return f"{RECORDS}/.{slot}.wish"


def leave_marker(slot: str) -> str:
    """Where `serve` says that a process is to leave, before it asks for that."""
    return f"{RECORDS}/.{slot}.leave"


def remove_markers(folder: PrivateFolder, slot: str) -> None:
    """Nothing was said by the process of this slot, nor to it."""
    for marker in (failure_marker(slot), loaded_marker(slot), replacement_request_marker(slot), leave_marker(slot)):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(marker, dir_fd=folder.descriptor)


def _own_names() -> tuple[str, str] | None:
    """Run folder and slot of this process; None if it runs alone."""
    run_dir, name = os.environ.get(RUN_DIR), os.environ.get(SLOT)
    return (run_dir, name) if run_dir is not None and name is not None else None


@contextlib.contextmanager
def _own() -> Iterator[tuple[PrivateFolder, str]]:
    """The same, opened. OSError if the folder has gone, or is another one by now."""
    run_dir, name = _own_names() or ("", "")
    with contextlib.closing(PrivateFolder.open(Path(run_dir))) as folder:
        yield folder, name
