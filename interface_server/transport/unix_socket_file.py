"""The file of a unix socket. A server that was killed leaves it behind, and the next server could not listen there."""

from __future__ import annotations

import socket
import stat
from pathlib import Path
from typing import Final

#: As open as a TCP port, since a proxy usually runs as another user.
PERMISSIONS: Final = 0o666


def permissions(asked: str, before: int | None) -> int:
    """The permissions of a unix socket's file. before: those of the file that it replaces, which are not widened."""
    if asked:
        return int(asked, 8)
    return PERMISSIONS if before is None else before


def remove_stale(path: Path) -> int | None:
    """Remove a socket file on which no process listens, and return its permissions; None if there is no file.

    Raises OSError if a process listens on it, or if it is not a socket.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(f"{path} exists and is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
        else:
            raise OSError(f"another process listens on {path} already")
    return stat.S_IMODE(mode)
