"""The run folder, in which a running `serve` keeps its sockets and records its processes. Other users cannot enter it.

    .towpath-run-dir  marks a run folder, with the number of folders on its path that were made for it
    serve             the process that holds the folder, for `stop` and `status`
    facts.json        the URL of its Redis, and how many processes there ought to be
    supervisord.conf  the generated configuration; supervisord.sock: its socket
    stopping          exists from the moment when all of the `serve` stops
    control.sock      the socket for `reload` and `scale`
    environment.json  the environment of workers since the last `reload`
    redis.sock        the embedded server
    pids/<name>       every process that was started, with the moment of its start
    logs/<name>       a pipe for the output of each process

The folder is held by a lock on itself that dies with its holder, so a `serve` that was killed never locks out the next. A folder
that is neither empty nor marked holds a user's data: nothing in it is touched.

Every reader and writer of ours opens it as private_folder.py does, so no other user can have made it, or what is in it.
supervisord and the embedded server get its path: as long as the folder exists, that leads nowhere else.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from towpath.errors import StartFailure
from towpath.runtime import control_socket, embedded_redis, process_markers, worker_environment
from towpath.runtime.process_markers import HOLDER, RECORDS
from towpath.supervisord import conf as supervisord_conf
from towpath.system import standard_streams, unix_sockets
from towpath.system.private_folder import OTHERS_MAY_WRITE, PRIVATE, NotPrivate, PrivateFolder
from towpath.system.processes import Identity, end_all

ORPHAN_TIMEOUT_S = 5.0
#: A command that checks whether a `serve` holds the folder locks it for that moment.
LOCK_TIMEOUT_S, LOCK_POLL_S = 1.0, 0.02
SUPERVISORD = "supervisord"
MARKER, FACTS, LOGS = ".towpath-run-dir", "facts.json", "logs"
FOLDERS = (RECORDS, LOGS)
FILES = (
    HOLDER,
    FACTS,
    process_markers.STOPPING,
    control_socket.NAME,
    embedded_redis.SOCKET_NAME,
    worker_environment.NAME,
    supervisord_conf.FILE_NAME,
    supervisord_conf.SOCKET_NAME,
)
#: Without these a process could not be started, found or asked for anything any more.
NEEDED = (
    HOLDER,
    RECORDS,
    FACTS,
    control_socket.NAME,
    worker_environment.NAME,
    embedded_redis.SOCKET_NAME,
    supervisord_conf.SOCKET_NAME,
)
#: Names of our processes, and of what they leave beside their records: markers, and drafts of them.
OF_A_PROCESS = re.compile(r"\.?(supervisord|redis|(interface|worker)-\d+)(\.[\w.]+)?")
DRAFT = re.compile(rf"\.({'|'.join(map(re.escape, FILES))})\.\d+\.draft")

LONGEST_SOCKET = f"{supervisord_conf.SOCKET_NAME}.4194304"  #: supervisord adds its number while it makes it


def default_path(port: int, uds: str | None, fd: int | None) -> Path:
    """The default run folder: one per user and listen address.

    port: the actual one, also if any free port was asked for. fd: of an inherited socket, which has a name if it has no address.
    """
    if uds:
        name = f"uds{unix_sockets.one_path(uds)}".replace("/", "-")
    elif fd is not None and not port:
        name = f"fd-{fd}"
    else:
        name = str(port)
    return (_runtime() or Path(f"/tmp/towpath-{os.getuid()}")) / name


def _runtime() -> Path | None:
    """The runtime folder of the session, if it is this user's. `su` and `sudo -E` leave the variable of another user."""
    given = os.environ.get("XDG_RUNTIME_DIR")
    if not given:
        return None
    with contextlib.suppress(FileNotFoundError):
        if Path(given).stat().st_uid != os.geteuid():
            return None
    return Path(given) / "towpath"


class RunDir:
    """A run folder that this process holds. Made by `acquire`; `release` removes all that `serve` put into it."""

    def __init__(self, folder: PrivateFolder) -> None:
        self.folder = folder
        self.path = folder.path
        self._facts: dict[str, Any] = {}
        self._known: set[str] = set()
        self._missed: set[str] = set()

    @classmethod
    def acquire(cls, path: Path) -> RunDir:
        """Make the folder and lock it; processes and files that a killed predecessor left are ended and removed first.

        StartFailure if another `serve` holds it, if it or its path is not ours alone, if something else is in it, or if no
        socket fits into it.
        """
        path = path.absolute()
        if not unix_sockets.fits(path / LONGEST_SOCKET):
            raise StartFailure(
                f"the path of the run folder {path} is too long for a unix socket; use another --run-dir"
            )
        with usable(path):
            held = cls(_acquire(path))
            try:
                held._prepare()
            except OSError:
                held.release()
                raise
        return held

    def publish_facts(self, **facts: Any) -> None:
        """Publish facts for `status`, beside those of before; only this user can read them."""
        self._facts.update(facts)
        self.folder.write(FACTS, json.dumps(self._facts))

    def mark_stopping(self, our_socket: bool) -> None:
        """Mark that all of this `serve` stops.

        our_socket: the listening socket is of no more use, and a process that leaves may shut it down.
        """
        self.folder.write(process_markers.STOPPING, process_markers.OUR_SOCKET if our_socket else "")

    def record(self, name: str, pid: int) -> None:
        """Record a process."""
        self.folder.write(process_markers.record_of(name), f"{Identity.of(pid)}")

    def children(self) -> list[Identity]:
        """The recorded processes that are alive, the supervisor first: else it would start the others again."""
        names = sorted(_names(self.folder), key=lambda name: (name != SUPERVISORD, name))
        written = (process_markers.recorded(self.folder, process_markers.record_of(name)) for name in names)
        return [process for process in written if process is not None]

    def failure(self, name: str) -> str | None:
        """Why this process cannot start, as it marked it; None if it has not."""
        return process_markers.read_marker(self.folder, process_markers.failure_marker(name))

    def has_loaded(self, name: str) -> bool:
        """True if this process has loaded the application."""
        return self.folder.has(process_markers.loaded_marker(name))

    def is_listening(self, name: str) -> bool:
        """True if this process has begun to accept connections."""
        return self.folder.has(process_markers.listening_marker(name))

    def replacement_request(self, name: str) -> str:
        """Why this process requests its replacement; empty if it does not."""
        return process_markers.read_marker(self.folder, process_markers.replacement_request_marker(name)) or ""

    def mark_leaving(self, name: str) -> None:
        """Mark that this process alone is to leave."""
        self.folder.write(process_markers.leave_marker(name), "")

    def remove_markers(self, name: str) -> None:
        """Remove the markers of the last process of this slot."""
        process_markers.remove_markers(self.folder, name)

    def lost(self) -> list[str]:
        """Needed files that were here and are missing, at two polls in a row. A socket that is being made anew is missing for a moment."""
        here = self._here()
        lost = self._known - here
        self._known |= here
        again, self._missed = lost & self._missed, lost
        return sorted(again)

    def refresh(self) -> None:
        """Give every file a new time, so that cleaners of old files spare it. (systemd spares a locked folder.)"""
        for name in (".", *self.folder.names(), *self._here()):
            with contextlib.suppress(OSError):
                os.utime(name, dir_fd=self.folder.descriptor, follow_symlinks=False)

    def _here(self) -> set[str]:
        try:
            pipes = {f"{LOGS}/{name}" for name in self.folder.names(LOGS)}
        except OSError:
            pipes = set()
        return pipes | {name for name in NEEDED if self.folder.has(name)}

    def release(self) -> None:
        """Remove everything of ours, and unlock the folder. Files that were there before stay, and so do folders that are not empty."""
        made = _made(self.folder) or 0
        self._remove_files()
        if self.folder.is_at_its_path and self.folder.names() == [MARKER]:
            _remove(self.folder, MARKER)
            self.folder.remove(made)
        self.folder.close()

    def _prepare(self) -> None:
        self._end_orphans()
        self._remove_files()
        for name in FOLDERS:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, PRIVATE, dir_fd=self.folder.descriptor)
        self.folder.write(HOLDER, f"{Identity.of(os.getpid())}")

    def _end_orphans(self) -> None:
        orphans = self.children()
        if orphans:
            standard_streams.write_line(f"ending {len(orphans)} processes that a killed `towpath serve` left behind")
            end_all(orphans, ORPHAN_TIMEOUT_S)

    def _remove_files(self) -> None:
        for name in FOLDERS:
            with contextlib.suppress(OSError):  # it is not there, or not empty
                for each in filter(OF_A_PROCESS.fullmatch, self.folder.names(name)):
                    _remove(self.folder, f"{name}/{each}")
                os.rmdir(name, dir_fd=self.folder.descriptor)
        for name in (*FILES, *filter(DRAFT.fullmatch, self.folder.names())):
            _remove(self.folder, name)


@contextlib.contextmanager
def usable(path: Path) -> Iterator[None]:
    """Raise StartFailure in the place of an OSError: the disk is full, for instance, or may only be read."""
    try:
        yield
    except OSError as error:
        why = error.strerror or error
        raise StartFailure(f"the run folder {path} cannot be used: {why}; use another --run-dir") from error


def holder(path: Path) -> Identity | None:
    """The `serve` that runs in `path`; None if none does. StartFailure if it is not our own folder."""
    folder = _open(path)
    if folder is None:
        return None
    with contextlib.closing(folder):
        return _holder(folder)


def facts(path: Path) -> dict[str, Any] | None:
    """The facts that the `serve` in `path` has published, with its `pid`; None if none runs there. StartFailure as above."""
    folder = _open(path)
    if folder is None:
        return None
    with contextlib.closing(folder):
        process = _holder(folder)
        if process is None:
            return None
        try:
            published: dict[str, Any] = json.loads(folder.read(FACTS))
        except (OSError, ValueError):
            published = {}
    return {**published, "pid": process.pid}


def process_names(path: Path) -> dict[int, str]:
    """The names under which the `serve` in `path` runs its processes, by their pids; none if none runs. StartFailure as above."""
    folder = _open(path)
    if folder is None:
        return {}
    with contextlib.closing(folder):
        recorded = {name: process_markers.recorded(folder, process_markers.record_of(name)) for name in _names(folder)}
    return {process.pid: name for name, process in recorded.items() if process is not None}


def _names(folder: PrivateFolder) -> list[str]:
    """The names of the recorded processes."""
    try:
        return [name for name in folder.names(RECORDS) if not name.startswith(".")]
    except OSError:
        return []


def _open(path: Path) -> PrivateFolder | None:
    try:
        return PrivateFolder.open(path)
    except NotPrivate as error:
        raise StartFailure(f"the run folder {path} is not to be believed: {error.strerror}") from error
    except OSError:
        return None


def _holder(folder: PrivateFolder) -> Identity | None:
    try:
        fcntl.flock(folder.descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # until it is closed
    except BlockingIOError:
        return process_markers.recorded(folder, HOLDER)
    return None


def _acquire(path: Path) -> PrivateFolder:
    """Make and lock `path`. Its last holder may remove it between our steps: then it is tried again."""
    while True:
        folder = PrivateFolder.open(path, make=True)
        try:
            _lock(folder)
            if folder.is_at_its_path:
                _make_ours(folder)
                return folder
        except (OSError, StartFailure):
            folder.close()
            raise
        folder.close()


def _lock(folder: PrivateFolder) -> None:
    until = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(folder.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            process = process_markers.recorded(folder, HOLDER)
            if process is not None or time.monotonic() > until:
                pid = f" (pid {process.pid})" if process is not None else ""
                raise StartFailure(
                    f"another `towpath serve`{pid} runs in {folder.path}; use another --run-dir, or `towpath stop`"
                ) from None
            time.sleep(LOCK_POLL_S)
        else:
            return


def _make_ours(folder: PrivateFolder) -> None:
    """Mark the folder and close it to others. StartFailure, and no change, if it contains anything that is not ours."""
    names = folder.names()
    if names and (_made(folder) is None or os.fstat(folder.descriptor).st_mode & OTHERS_MAY_WRITE):
        raise StartFailure(f"{folder.path} is no run folder of `towpath serve`, and not empty; use another --run-dir")
    os.fchmod(folder.descriptor, PRIVATE)
    if not names:
        try:
            folder.write(MARKER, str(folder.made))
        except OSError:
            folder.remove(folder.made)
            raise


def _made(folder: PrivateFolder) -> int | None:
    """The number of folders at the end of its path that were made for it. None if it is not marked as ours."""
    text = process_markers.read_marker(folder, MARKER) or ""
    return int(text) if text.isascii() and text.isdecimal() else None


def _remove(folder: PrivateFolder, name: str) -> None:
    with contextlib.suppress(FileNotFoundError, IsADirectoryError, PermissionError):
        os.unlink(name, dir_fd=folder.descriptor)
