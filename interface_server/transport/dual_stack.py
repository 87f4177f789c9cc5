"""Listening at the addresses of both families, IPv4 and IPv6, by one socket."""

from __future__ import annotations

import socket
from typing import Final

#: The address for listening in both families. Other addresses belong to the family in which they are written.
EVERYWHERE: Final = "::"
EVERYWHERE_WITHOUT_V6: Final = "0.0.0.0"
_MAPPED: Final = "::ffff:"


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
