"""The folder where a running `serve` keeps its sockets and writes down its processes; nobody else may look into it.

    serve             the process that holds the folder, for `stop` and `status`
    facts.json        where its Redis is, and how many processes there ought to be
    supervisord.conf  what was generated; supervisord.sock: how it is talked to
    stopping          from the moment when all of it stops: nobody will listen after the last one
    control.sock      how `reload` and `scale` talk to `serve`
    environment.json  what workers are started with since the last `reload`
    redis.sock        the embedded server
    pids/<name>       every process that was started, with the moment of its start
    logs/<name>       a pipe for each process: what it says

The folder is held by a lock on itself that dies with its holder, so a `serve` that was killed never locks out the next.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from towpath import control, embedded, environment, marks, processes, standard_streams, supervisord_conf
from towpath.errors import StartFailure
from towpath.marks import HOLDER, RECORDS

ORPHAN_PATIENCE_S = 5.0
SUPERVISORD = "supervisord"
FACTS, LOGS = "facts.json", "logs"
FOLDERS = (RECORDS, LOGS)
FILES = (
    HOLDER,
    FACTS,
    marks.STOPPING,
    control.NAME,
    embedded.SOCKET_NAME,
    environment.NAME,
    supervisord_conf.FILE_NAME,
    supervisord_conf.SOCKET_NAME,
)

SOCKET_PATH_BYTES_MAX = 107 if sys.platform == "linux" else 103  #: what the system allows for a unix socket's path
LONGEST_SOCKET = f"{supervisord_conf.SOCKET_NAME}.4194304"  #: supervisord adds its number while it makes it


def default_path(port: int, uds: str | None, fd: int | None) -> Path:
    """One folder per user and place to listen at. port: the one that is listened at, whatever was asked for."""
    if fd is not None:
        place = f"fd-{fd}"
    elif uds:
        place = f"uds{Path(uds).absolute()}".replace("/", "-")
    else:
        place = str(port)
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return (Path(runtime) / "towpath" if runtime else _shared_parent()) / place


def _shared_parent() -> Path:
    """In a folder where everybody may write, so that it has to be ours before anything is put into it."""
    return Path(f"/tmp/towpath-{os.getuid()}")


class RunDir:
    """A run folder that this process holds. Made by `hold`; `leave` takes away all that is in it."""

    def __init__(self, path: Path, lock: int, made: bool) -> None:
        self.path = path
        self._lock = lock
        self._made = made
        self._facts: dict[str, Any] = {}

    @classmethod
    def hold(cls, path: Path) -> RunDir:
        """Make the folder and hold it; what a killed predecessor left is ended and swept first.

        StartFailure if another `serve` holds it, if it is somebody else's, or if no socket fits into it.
        """
        path = path.absolute()
        if len(os.fsencode(path / LONGEST_SOCKET)) > SOCKET_PATH_BYTES_MAX:
            raise StartFailure(f"the path of the run folder {path} is too long for a unix socket; say --run-dir")
        made = not path.exists() or (path / HOLDER).exists()  # else somebody made it for us
        try:
            lock = _lock(path)
        except BlockingIOError:
            holder = processes.recorded(path / HOLDER)
            raise StartFailure(
                f"another `towpath serve` (pid {holder}) runs in {path}; say --run-dir or `towpath stop`"
            ) from None
        except OSError as error:
            raise StartFailure(f"the run folder {path} cannot be used: {error.strerror}; say --run-dir") from error
        folder = cls(path, lock, made)
        folder._end_orphans()
        folder._sweep()
        for name in FOLDERS:
            (path / name).mkdir(mode=0o700)
        processes.record(path / HOLDER, os.getpid())
        return folder

    def say(self, **facts: Any) -> None:
        """Leave facts for `status`, beside those that were left before: readable by this user alone."""
        self._facts.update(facts)
        processes.write_whole(self.path / "facts.json", json.dumps(self._facts))

    def say_that_all_stops(self) -> None:
        """The listening socket is of no more use to anybody: whoever leaves may shut it down."""
        marks.stop_mark(self.path).touch(mode=0o600)

    def record_of(self, name: str) -> Path:
        """Where a process of ours is written down."""
        return self.path / RECORDS / name

    def children(self) -> list[int]:
        """The recorded processes that are alive, the supervisor first: else it would start the others again."""
        files = sorted((self.path / RECORDS).glob("[!.]*"), key=lambda file: (file.name != SUPERVISORD, file.name))
        return [pid for pid in map(processes.recorded, files) if pid is not None]

    def failure(self, name: str) -> str | None:
        """What this process said of why it cannot start; None if it did not say that it cannot."""
        return marks.said(marks.failure_mark(self.record_of(name)))

    def wish(self, name: str) -> str:
        """Why this process asks for its successor; empty if it does not."""
        return marks.said(marks.wish_mark(self.record_of(name))) or ""

    def forget(self, name: str) -> None:
        """What the last process of this slot said does not count any more."""
        marks.take_back_marks(self.record_of(name))

    def leave(self) -> None:
        """Nothing of ours is left behind; a folder that was there before stays."""
        self._sweep()
        if self._made:
            for folder in (self.path, self.path.parent):
                with contextlib.suppress(OSError):  # others may have theirs beside it
                    folder.rmdir()
        os.close(self._lock)

    def _end_orphans(self) -> None:
        orphans = self.children()
        if orphans:
            standard_streams.say(f"ending {len(orphans)} processes that a killed `towpath serve` left behind")
            processes.end_all(orphans, ORPHAN_PATIENCE_S)

    def _sweep(self) -> None:
        for name in FOLDERS:
            shutil.rmtree(self.path / name, ignore_errors=True)
        for name in FILES:
            (self.path / name).unlink(missing_ok=True)


def facts(path: Path) -> dict[str, Any] | None:
    """What the `serve` that runs in `path` said of itself, with its `pid`; None if none runs there."""
    pid = processes.recorded(path / HOLDER)
    if pid is None:
        return None
    try:
        said: dict[str, Any] = json.loads((path / FACTS).read_text())
    except (OSError, ValueError):
        said = {}
    return {**said, "pid": pid}


def _lock(path: Path) -> int:
    """Hold `path`, made if need be. It may be taken away by its last holder between our two steps: then once more."""
    if path.parent == _shared_parent():
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if path.parent.stat().st_uid != os.getuid():
            raise PermissionError(13, f"{path.parent} belongs to another user")
    while True:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = os.fstat(descriptor)
            if path.exists() and os.path.samestat(held, path.stat()):
                if held.st_uid != os.getuid():
                    raise PermissionError(13, "it belongs to another user")
                os.fchmod(descriptor, 0o700)
                return descriptor
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)
