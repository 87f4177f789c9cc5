"""The listen address, checked before anything is started.

supervisord makes the listening socket itself where it can (IPv4 with a port, unix sockets); its children get it as descriptor
0. A socket that it cannot make (IPv6, any free port, an inherited descriptor) is made by `serve` and passed through: supervisord
closes every descriptor below its `minfds` in its children, and leaves those above open.
"""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from interface_server.settings import InterfaceSettings
from interface_server.transport.dual_stack import bindable
from interface_server.transport.unix_socket_file import PERMISSIONS, permissions, remove_stale
from towpath.errors import BadSetting
from towpath.runtime import admin_ports
from towpath.runtime.handed_down import HANDED_DOWN
from towpath.system import unix_sockets

#: What is wrong, and the option to look at.
REASONS = {
    errno.EADDRINUSE: ("port {port} on {host} is in use", "port"),
    errno.EACCES: ("port {port} on {host} needs more rights than this user has", "port"),
    errno.EADDRNOTAVAIL: ("{host} is not an address of this machine", "host"),
}
OTHERWISE = ("cannot listen on port {port} of {host}: {error}", "port")


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """An address that is free. `supervised`: as supervisord writes it; None: `descriptor` was made by us."""

    label: str
    port: int = 0  #: where there is one
    supervised: str | None = None
    descriptor: int | None = None
    permissions: int = PERMISSIONS  #: of a unix socket


def prepare(settings: InterfaceSettings) -> ListenAddress:
    """Check that we can listen there, or make the socket; BadSetting if we cannot."""
    if settings.fd is not None:
        inherited = _inherited(settings.fd)
        return ListenAddress(_label(inherited), descriptor=_hand_down(inherited))
    if settings.uds is not None:
        path = unix_sockets.one_path(settings.uds)
        allowed = permissions(settings.uds_permissions, check_unix(path))
        return ListenAddress(f"unix:{path}", supervised=f"unix://{path}", permissions=allowed)
    family, address = _resolve(settings.host, settings.port)
    listener = _bind(family, address, settings)
    host, port = listener.getsockname()[:2]
    label = _label(listener)
    if family == socket.AF_INET6 or settings.port == 0:
        return ListenAddress(label, port, descriptor=_hand_down(listener))
    listener.close()
    return ListenAddress(label, port, supervised=f"tcp://{host}:{port}")


def check(settings: InterfaceSettings) -> None:
    """Raise BadSetting if an interface server with these settings could not listen."""
    if settings.fd is not None or settings.reuse_port or settings.port == 0:
        return
    if settings.uds is not None:
        check_unix(unix_sockets.one_path(settings.uds))
        return
    family, address = _resolve(settings.host, settings.port)
    _bind(family, address, settings).close()


def check_admin(host: str, first: int, slot: str | None) -> None:
    """Raise BadSetting if the process in this slot could not listen on its admin port. first: --admin-port."""
    port = admin_ports.of_slot(first, slot)
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError as error:
        raise BadSetting(f"the host {host!r} is not known: {error.strerror}", "admin_host") from error
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise BadSetting(f"{host} is not an address of this machine", "admin_host") from error
            why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
            raise BadSetting(admin_ports.sentence(first, slot, f"on {host} {why}"), "admin_port") from error


def of_inherited(descriptor: int) -> tuple[int, str | None]:
    """The port and the path at which an inherited socket listens: (0, None) if it has neither. BadSetting if it is no socket."""
    with _inherited(descriptor) as listener:
        name = listener.getsockname()
        if listener.family in (socket.AF_INET, socket.AF_INET6):
            return name[1], None
    return 0, name if isinstance(name, str) and name else None


def check_unix(path: Path) -> int | None:
    """Raise BadSetting if we cannot listen there. The socket of a dead server is removed, and its permissions are returned."""
    unix_sockets.check_path(path)
    if not path.parent.is_dir():
        raise BadSetting(f"there is no folder {path.parent} for the unix socket", "uds")
    try:
        return remove_stale(path)
    except OSError as error:
        raise BadSetting(f"cannot listen on the unix socket {path}: {error.strerror or error}", "uds") from error


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[object, ...]]:
    """One address of the host; IPv4 where it has both families, as supervisord can make that socket."""
    try:
        found = socket.getaddrinfo(bindable(host) or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise BadSetting(f"the host {host!r} is not known: {error.strerror}", "host") from error
    family, _, _, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    return family, address


def _bind(family: socket.AddressFamily, address: tuple[object, ...], settings: InterfaceSettings) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # `::` is for both families
        listener.bind(address)
        listener.listen(settings.backlog)
    except OSError as error:
        listener.close()
        why, option = REASONS.get(error.errno or 0, OTHERWISE)
        raise BadSetting(why.format(port=settings.port, host=settings.host, error=error.strerror), option) from error
    return listener


def _label(listener: socket.socket) -> str:
    """Where it listens, for people."""
    name = listener.getsockname()
    if listener.family not in (socket.AF_INET, socket.AF_INET6):
        return f"unix:{name if isinstance(name, str) else name.decode(errors='replace')}"
    host, port = name[:2]
    return f"http://[{host}]:{port}/" if listener.family == socket.AF_INET6 else f"http://{host}:{port}/"


def _inherited(descriptor: int) -> socket.socket:
    try:
        return socket.socket(fileno=os.dup(descriptor))
    except OSError as error:
        raise BadSetting(f"descriptor {descriptor} is not a socket: {error.strerror}", "fd") from error


def _hand_down(listener: socket.socket) -> int:
    os.dup2(listener.fileno(), HANDED_DOWN, inheritable=True)
    listener.close()
    return HANDED_DOWN
