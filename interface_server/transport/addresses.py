"""Addresses of sockets as Twisted's objects."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress

Address = IPv4Address | IPv6Address | UNIXAddress


def address_of(name: Any) -> Address:
    """name: as `getsockname` and `getpeername` return it."""
    if not isinstance(name, tuple):
        return UNIXAddress(name or None)
    kind = IPv4Address if len(name) == 2 else IPv6Address
    return kind("TCP", name[0], name[1])
