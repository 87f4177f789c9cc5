"""The length that the system allows for the path of a unix socket."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from towpath.errors import BadSetting

SOCKET_PATH_BYTES_MAX = 107 if sys.platform == "linux" else 103


def one_path(path: str) -> Path:
    """The absolute path of a unix socket, the same one however it was written."""
    written = Path(path).absolute()
    return written.parent.resolve() / written.name if ".." in written.parts else written


def fits(path: Path) -> bool:
    """True if a unix socket can have this path."""
    return len(os.fsencode(path.absolute())) <= SOCKET_PATH_BYTES_MAX


def check_path(path: Path) -> None:
    """Raise BadSetting if the path of --uds is too long for a unix socket."""
    if not fits(path):
        sentence = f"{path} is too long for the path of a unix socket: at most {SOCKET_PATH_BYTES_MAX} bytes"
        raise BadSetting(sentence, "uds")
