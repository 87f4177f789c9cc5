"""Marker files in the run folder, by which `serve` and its processes inform each other.

    pids/<name>           the process runs (processes.py)
    pids/.<name>.failed   it cannot start, and why: supervisord does not report the exit code of a process that it tries again
    pids/.<name>.loaded   it has loaded the application
    pids/.<name>.listens  it accepts connections
    pids/.<name>.wish     it requests its replacement, and why
    pids/.<name>.leave    this process alone is to leave, and the others stay
    stopping              all of this `serve` stops; the content tells whether the listening socket is of no more use

A process gets its name and its `serve` from the environment. A process that runs alone leaves no markers.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from towpath.errors import StartFailure
from towpath.runtime.worker_environment import RUN_DIR, SLOT
from towpath.system import freed_memory
from towpath.system.private_folder import PrivateFolder
from towpath.system.processes import Identity, end_with_parent, raise_descriptor_limit

HOLDER, RECORDS, STOPPING = "serve", "pids", "stopping"
OUR_SOCKET = "our socket"


def enter() -> None:
    """Called first by every process of ours. Sets its limits of descriptors and freed memory; under `serve`, records it and lets it
    end with its parent.
    """
    raise_descriptor_limit()
    freed_memory.keep()
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
    """Mark that this process cannot start, and why."""
    if _own_names():
        with contextlib.suppress(OSError), _own() as (folder, name):
            if sentence or not folder.has(failure_marker(name)):
                folder.write(failure_marker(name), sentence)


def ask_for_successor(why: str) -> bool:
    """Request a replacement of this process. False if it runs alone, so that no successor could be started first."""
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
    """Mark that this process has loaded the application."""
    if _own_names():
        with contextlib.suppress(OSError), _own() as (folder, name):
            folder.write(loaded_marker(name), "")


def mark_listening() -> None:
    """Mark that this process accepts connections."""
    if _own_names():
        with contextlib.suppress(OSError), _own() as (folder, name):
            folder.write(listening_marker(name), "")


def everything_stops() -> bool | None:
    """True if the `serve` of this process stops as a whole; False if others stay, or this process runs alone.

    None while `serve` has marked neither: another program may have sent the signal to all processes at once, or to this one.
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
    """The same for the listening socket: False also if it was inherited, as its owner may use it afterwards."""
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
    """True if this process runs under supervisord: that of a `serve`, or the user's own."""
    return SLOT in os.environ


def slot() -> str | None:
    """The slot of this process under its `serve`; None if it runs alone."""
    names = _own_names()
    return None if names is None else names[1]


def recorded(folder: PrivateFolder, name: str) -> Identity | None:
    """The process that a file names, if it is still that process and alive."""
    return Identity.parse(read_marker(folder, name) or "")


def read_marker(folder: PrivateFolder, name: str) -> str | None:
    """The content of a marker; None if it is not there."""
    try:
        return folder.read(name)
    except (OSError, ValueError):
        return None


def record_of(slot: str) -> str:
    """The name of the file that records a process. Names are relative to the run folder."""
    return f"{RECORDS}/{slot}"


def failure_marker(slot: str) -> str:
    """The name of the marker of a process that cannot start."""
    return f"{RECORDS}/.{slot}.failed"


def loaded_marker(slot: str) -> str:
    """The name of the marker of a process that has loaded the application."""
    return f"{RECORDS}/.{slot}.loaded"


def listening_marker(slot: str) -> str:
    """The name of the marker of a process that accepts connections."""
    return f"{RECORDS}/.{slot}.listens"


def replacement_request_marker(slot: str) -> str:
    """The name of the marker of a process that requests its replacement."""
    return f"{RECORDS}/.{slot}.wish"


def leave_marker(slot: str) -> str:
    """The name of the marker that a process is to leave, left by `serve` before it asks for that."""
    return f"{RECORDS}/.{slot}.leave"


def remove_markers(folder: PrivateFolder, slot: str) -> None:
    """Remove every marker by or for the process of this slot."""
    reported = (failure_marker(slot), loaded_marker(slot), listening_marker(slot))
    for marker in (*reported, replacement_request_marker(slot), leave_marker(slot)):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(marker, dir_fd=folder.descriptor)


def _own_names() -> tuple[str, str] | None:
    """Run folder and slot of this process; None if it runs alone."""
    run_dir, name = os.environ.get(RUN_DIR), os.environ.get(SLOT)
    return (run_dir, name) if run_dir is not None and name is not None else None


@contextlib.contextmanager
def _own() -> Iterator[tuple[PrivateFolder, str]]:
    """The run folder, opened, and the slot. OSError if the folder has gone, or is another one by now."""
    run_dir, name = _own_names() or ("", "")
    with contextlib.closing(PrivateFolder.open(Path(run_dir))) as folder:
        yield folder, name
