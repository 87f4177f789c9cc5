"""What the kernel is told about our sockets.

* It is asked to take no more than 16 KiB that it cannot send yet (`TCP_NOTSENT_LOWAT`): what waits, waits in our buffer,
  where it is counted.
* It is asked to give up clients that are no longer there (keepalive.py). That is said to the listening socket, once for
  all: each connection inherits it, where four more system calls for each would be felt. (So it is on Linux; elsewhere as
  much is said as can be. Who stood in the backlog of an inherited socket before its first owner came is not covered.)
* A unix socket is a file, which a server that was killed leaves behind: it stands in the way of the next one.
"""

from __future__ import annotations

import socket
import stat
from pathlib import Path
from typing import Any

from interface_server.transport.keepalive import KeepaliveSettings

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


def set_keepalive(listening: Any, keepalive: KeepaliveSettings) -> None:
    """Those that will be accepted. listening: a socket, or uvloop's picture of one."""
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


#: The address at which both families listen; others are of the family that they are written in.
EVERYWHERE = "::"
EVERYWHERE_WITHOUT_V6 = "0.0.0.0"
_MAPPED = "::ffff:"


def bindable(host: str) -> str:
    """`host` as this system can have it: where there is no IPv6, everywhere is all of IPv4."""
    return EVERYWHERE_WITHOUT_V6 if host == EVERYWHERE and not socket.has_dualstack_ipv6() else host


def listen_everywhere(port: int, backlog: int, reuse_port: bool) -> socket.socket:
    """A socket that listens at all addresses of this machine, of both families. Raises OSError."""
    dual = bindable(EVERYWHERE) == EVERYWHERE
    return socket.create_server(
        (bindable(EVERYWHERE), port),
        family=socket.AF_INET6 if dual else socket.AF_INET,
        backlog=backlog,
        reuse_port=reuse_port,
        dualstack_ipv6=dual,
    )


def unmapped(host: str) -> str:
    """The IPv4 address of a client that has come to a socket of both families, as everybody else writes it."""
    return host[len(_MAPPED) :] if host.startswith(_MAPPED) and "." in host else host


#: As open as a TCP port: a proxy usually runs as another user.
PERMISSIONS = 0o666


def permissions(asked: str, before: int | None) -> int:
    """What a unix socket's file may be used for, and by whom. before: of the one whose place it takes, which is not widened."""
    if asked:
        return int(asked, 8)
    return PERMISSIONS if before is None else before


def remove_stale(path: Path) -> int | None:
    """Remove a socket file that nobody listens on, and return its permissions; None if there is none.

    Raises OSError when somebody listens, or when it is no socket.
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
            raise OSError(f"somebody listens on {path} already")
    return stat.S_IMODE(mode)
