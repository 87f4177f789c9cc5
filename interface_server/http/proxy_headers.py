"""Header fields in which a trusted proxy reports the client behind it: `X-Forwarded-For` and `X-Forwarded-Proto`.

Think of a guest list that several doormen hand on: each adds the guest that he let in. The last line is believed only if the
doorman with the list is ours, and each earlier line only if the next one was written by a doorman of ours. The first name from
the end that is no doorman of ours is the client.

* Trusted are addresses, networks (`10.0.0.0/8`), `unix` for peers on a unix socket, or `*` for every peer.
* With `*` the first name counts: every peer is trusted.
* If all names on the list are trusted, the first of them is the client.

No I/O here. The meaning of the option is uvicorn's `--forwarded-allow-ips`.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = tuple[str, int]

#: The longest text that is remembered as an address: longer ones are no addresses and would only fill the memory.
ADDRESS_SIZE_MAX: Final = 64
REMEMBERED_MAX: Final = 4096
SCHEMES: Final = {b"http": "http", b"https": "https", b"ws": "http", b"wss": "https"}


class TrustedPeers:
    """The peers whose header fields are believed, and what those fields mean."""

    __slots__ = ("_addresses", "_networks", "_remembered", "everybody", "unix")

    def __init__(self, allowed: str) -> None:
        """allowed: comma-separated addresses, networks, `unix` or `*`. Raises ValueError for anything else."""
        items = {item.strip() for item in allowed.split(",")} - {""}
        self.everybody = "*" in items
        self.unix = self.everybody or "unix" in items
        self._addresses: set[IPv4Address | IPv6Address] = set()
        self._networks: list[IPv4Network | IPv6Network] = []
        self._remembered: dict[str, bool] = {}
        for item in sorted(items - {"*", "unix"}):
            if "/" in item:
                self._networks.append(ip_network(item))
            else:
                self._addresses.add(ip_address(item))

    def trusts(self, host: str | None) -> bool:
        """True if the peer at `host` (None: on a unix socket) is a proxy of ours."""
        if self.everybody:
            return True
        if host is None:
            return self.unix
        known = self._remembered.get(host)
        return self._check(host) if known is None else known

    def _check(self, host: str) -> bool:
        if len(host) > ADDRESS_SIZE_MAX:
            return False
        try:
            address = ip_address(host)
        except ValueError:
            trusted = False
        else:
            mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
            trusted = self._holds(address) or (mapped is not None and self._holds(mapped))
        if len(self._remembered) >= REMEMBERED_MAX:
            self._remembered.clear()
        self._remembered[host] = trusted
        return trusted

    def _holds(self, address: IPv4Address | IPv6Address) -> bool:
        return address in self._addresses or any(address in network for network in self._networks)

    def client_behind(self, value: bytes) -> Address | None:
        """The client that the `X-Forwarded-For` of a trusted peer names, its lines joined; None: it names no client."""
        hops = [hop.strip() for hop in value.decode("latin-1").split(",")]
        client = _address(hops[0])
        if not self.everybody:
            client = next((hop for hop in map(_address, reversed(hops)) if not self.trusts(hop[0])), client)
        return client if client[0] else None

    def scheme(self, value: bytes) -> str | None:
        """`http` or `https` as the first of `X-Forwarded-Proto`, its lines joined; None: it is something else.

        The first is the scheme between the client and the outermost proxy. Proxies of one kind add to the list, others replace it.
        """
        return SCHEMES.get(value.partition(b",")[0].strip().lower())


def _address(hop: str) -> Address:
    """`host`, `host:port`, `[host]` or `[host]:port`; any other text is taken as a host unchanged, and not trusted."""
    if hop.startswith("["):
        host, closed, rest = hop[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            return hop, 0
        return host, _port(rest[1:])
    if hop.count(":") == 1:
        host, _, port = hop.partition(":")
        return (host, _port(port)) if port.isdecimal() and port.isascii() else (hop, 0)
    return hop, 0


def _port(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 5 and int(text) <= 65535 else 0
