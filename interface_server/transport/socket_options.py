"""Options of sockets.

* The kernel takes at most 16 KiB that it cannot send yet (`TCP_NOTSENT_LOWAT`), so that bytes wait in our buffer, where they are counted.
* The kernel gives up clients that are no longer there (keepalive.py). These options are set once on the listening socket, and accepted
  sockets inherit them: four more system calls per connection would be felt. (Linux only: elsewhere, the options that exist are set.
  Connections already in the backlog of an inherited socket are not covered.)
"""

from __future__ import annotations

import socket
from typing import Any, Final

from interface_server.transport.keepalive import KeepaliveSettings

NOTSENT_LOWAT_BYTES: Final = 16 * 1024
TCP_NOTSENT_LOWAT: Final = getattr(socket, "TCP_NOTSENT_LOWAT", 25)  # the socket module names it on Linux since 3.12
TCP_KEEPIDLE: Final = getattr(
    socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", None)
)  # macOS has the other name
TCP_USER_TIMEOUT: Final = getattr(socket, "TCP_USER_TIMEOUT", None)


def prepare(sock: socket.socket) -> None:
    """Set the options of an accepted socket."""
    if sock.family == socket.AF_UNIX:
        return
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOTSENT_LOWAT_BYTES)
    except OSError:
        pass  # the peer has left, or the kernel does not know the option: both are harmless


def set_keepalive(listening: Any, keepalive: KeepaliveSettings) -> None:
    """Set the keepalive of sockets that will be accepted. listening: a socket, or uvloop's object for one."""
    if listening.family == socket.AF_UNIX:
        return
    milliseconds = int(keepalive.unacknowledged_s * 1000)
    wanted = (
        (TCP_KEEPIDLE, keepalive.idle_s),
        (socket.TCP_KEEPINTVL, keepalive.interval_s),
        (TCP_USER_TIMEOUT, milliseconds),
    )
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in wanted:
        if option is not None:
            listening.setsockopt(socket.IPPROTO_TCP, option, value)
