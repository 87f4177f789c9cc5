"""The listening socket that systemd passes to a process that it starts for a `.socket` unit (sd_listen_fds(3)).

Its variables name the process that they are for, so the children of that process, which inherit them, take no socket for theirs.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Collection

from towpath.errors import BadSetting, StartFailure
from towpath.system.process_one import SOCKETS_FOR

COUNT = "LISTEN_FDS"
VARIABLES = (SOCKETS_FOR, COUNT, "LISTEN_FDNAMES")
FIRST = 3  #: the descriptor of the first socket
#: The options that say where to listen; `--fd` chooses one of the sockets.
ELSEWHERE = ("host", "port", "uds")


def descriptor(given: Collection[str]) -> int | None:
    """The descriptor of the socket that was passed to this process; None without one.

    given: the names of the options that were given. StartFailure if another address is among them, and for a socket of no use.
    """
    count = _count()
    if count == 0 or "fd" in given:
        return None
    both = next((name for name in ELSEWHERE if name in given), None)
    if both is not None:
        raise BadSetting(
            f"systemd passes a socket to listen on, and --{both} is given too; leave one of them out",
            both,
        )
    if count > 1:
        raise StartFailure(
            f"systemd passes {count} sockets, and a process listens on one: leave one ListenStream= in the .socket unit, "
            f"or choose one by --fd ({FIRST} to {FIRST + count - 1})"
        )
    _check(FIRST)
    return FIRST


def _count() -> int:
    """How many sockets were passed to this process."""
    if os.environ.get(SOCKETS_FOR) != str(os.getpid()):
        return 0
    count = os.environ.get(COUNT, "")
    return int(count) if count.isdecimal() else 0


def _check(descriptor: int) -> None:
    """Raise StartFailure unless clients can be accepted there. The descriptor becomes private to this process."""
    try:
        os.set_inheritable(descriptor, False)
        with socket.socket(fileno=os.dup(descriptor)) as passed:
            listens = passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise StartFailure(f"systemd passes descriptor {descriptor}, which is no socket: {error.strerror}") from error
    if not listens:
        raise StartFailure("the socket that systemd passes does not listen: it needs ListenStream= and Accept=no")
