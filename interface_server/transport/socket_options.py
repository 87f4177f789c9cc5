"""Options of sockets, and files of unix sockets.

* The kernel takes at most 16 KiB that it cannot send yet (`TCP_NOTSENT_LOWAT`), so that bytes wait in our buffer, where they are counted.
* The kernel gives up clients that are no longer there (keepalive.py). These options are set once on the listening socket, and accepted
  sockets inherit them: four more system calls per connection would be felt. (Linux only: elsewhere, the options that exist are set.
  Connections already in the backlog of an inherited socket are not covered.)
* A unix socket is a file. A server that was killed leaves it behind, and the next server could not listen there.
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


#: The address for listening in both families. Other addresses belong to the family in which they are written.
EVERYWHERE = "::"
EVERYWHERE_WITHOUT_V6 = "0.0.0.0"
_MAPPED = "::ffff:"


def bindable(host: str) -> str:
    """`host` as this system supports it: without IPv6, `::` means all IPv4 addresses."""
    return EVERYWHERE_WITHOUT_V6 if host == EVERYWHERE and not socket.has_dualstack_ipv6() else host


def listen_everywhere(port: int, backlog: int, reuse_port: bool) -> socket.socket:
    """A socket that listens at all addresses of this machine, in both families. Raises OSError."""
    dual = bindable(EVERYWHERE) == EVERYWHERE
    return socket.create_server(
        (bindable(EVERYWHERE), port),
        family=socket.AF_INET6 if dual else socket.AF_INET,
        backlog=backlog,
        reuse_port=reuse_port,
        dualstack_ipv6=dual,
    )


def unmapped(host: str) -> str:
    """The host in its usual form: a socket of both families reports IPv4 clients as `::ffff:192.0.2.7`."""
    return host[len(_MAPPED) :] if host.startswith(_MAPPED) and "." in host else host


#: As open as a TCP port, since a proxy usually runs as another user.
PERMISSIONS = 0o666


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
