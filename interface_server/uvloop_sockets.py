"""What the kernel is told about our sockets.

* It is asked to take no more than 16 KiB that it cannot send yet (`TCP_NOTSENT_LOWAT`): what waits, waits in our buffer,
  where it is counted.
* It is asked to give up clients that are no longer there (vanished.py). That is said to the listening socket, once for
  all: each connection inherits it, where four more system calls for each would be felt. (So it is on Linux; elsewhere as
  much is said as can be. Who stood in the backlog of an inherited socket before its first owner came is not covered.)
"""

from __future__ import annotations

import socket
from typing import Any

from interface_server.vanished import Patience

NOTSENT_LOWAT_BYTES = 16 * 1024
TCP_NOTSENT_LOWAT = getattr(socket, "TCP_NOTSENT_LOWAT", 25)  # the socket module names it on Linux since 3.12
TCP_KEEPIDLE = getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", None))  # macOS has the other name
TCP_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", None)


def prepare(sock: socket.socket) -> None:
    """One that was accepted."""
    if sock.family == socket.AF_UNIX:
        return
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOTSENT_LOWAT_BYTES)
    except OSError:
        pass  # the peer is gone already, or the kernel does not know the option: neither is needed to be right


def be_patient(listening: Any, patience: Patience) -> None:
    """Those that will be accepted. listening: a socket, or uvloop's picture of one."""
    if listening.family == socket.AF_UNIX:
        return
    milliseconds = int(patience.unacknowledged_s * 1000)
    wanted = (
        (TCP_KEEPIDLE, patience.idle_s),
        (socket.TCP_KEEPINTVL, patience.interval_s),
        (TCP_USER_TIMEOUT, milliseconds),
    )
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in wanted:
        if option is not None:
            listening.setsockopt(socket.IPPROTO_TCP, option, value)
