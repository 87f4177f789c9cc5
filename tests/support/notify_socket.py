"""The socket at which a service manager such as systemd waits for what its processes tell it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

DEADLINE_S = 60.0
MESSAGE_SIZE_MAX = 4096


class NotifySocket:
    """One such socket. address: the value of `NOTIFY_SOCKET`."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address.replace("@", "\0", 1))

    def next(self) -> str:
        """The next message; it may be waited for."""
        self._socket.settimeout(DEADLINE_S)
        return self._socket.recv(MESSAGE_SIZE_MAX).decode()

    def waiting(self) -> str | None:
        """The message that is there already; None if there is none."""
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            return self._socket.recv(MESSAGE_SIZE_MAX).decode()
        return None

    def close(self) -> None:
        self._socket.close()


@contextlib.contextmanager
def notify_socket(folder: Path) -> Iterator[NotifySocket]:
    """One with a path in `folder`."""
    with contextlib.closing(NotifySocket(str(folder / "notify.sock"))) as it:
        yield it
