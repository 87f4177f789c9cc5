"""Which requests the status page answers, and what its browser may do. No I/O.

The page has no password, so a page of another site must not read it through the browser of an operator: by a name of that site which
leads to this address (DNS rebinding). Such a request has that name as its host, and is refused.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
from dataclasses import dataclass

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8808
LOCAL_NAME = "localhost"
PORT_MAX = 65_535

#: A host with or without a port: an address in brackets, or a name or an IPv4 address.
_HOST_AND_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]/@\s]+))(?::(\d{1,5}))?")


@dataclass(frozen=True, slots=True)
class PageAddress:
    """Where the page is served."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> PageAddress:
        """From `HOST:PORT`, `HOST` or `PORT`; IPv6 with a port in brackets. Raises ValueError."""
        if text.isascii() and text.isdecimal():
            text = f"{DEFAULT_HOST}:{text}"
        if _is_address(text) and ":" in text:
            return cls(text, DEFAULT_PORT)
        match = _HOST_AND_PORT.fullmatch(text)
        if match is None or int(match[3] or 0) > PORT_MAX:
            raise ValueError(f"{text!r} is not HOST:PORT; {DEFAULT_HOST}:{DEFAULT_PORT} would be right")
        return cls(match[1] or match[2], DEFAULT_PORT if match[3] is None else int(match[3]))

    @property
    def url(self) -> str:
        """For people."""
        return f"http://[{self.host}]:{self.port}/" if ":" in self.host else f"http://{self.host}:{self.port}/"

    @property
    def is_loopback(self) -> bool:
        """True if only processes of this machine reach it."""
        return self.host == LOCAL_NAME or (_is_address(self.host) and ipaddress.ip_address(self.host).is_loopback)

    def may_ask(self, host_field: str | None) -> bool:
        """True if a request with this Host field may be answered: it names an address, this machine, or the host of the page.

        No other site has any of these as its name.
        """
        match = _HOST_AND_PORT.fullmatch(host_field or "")
        if match is None:
            return False
        host = match[1] or match[2]
        return _is_address(host) or host.lower() in (LOCAL_NAME, self.host.lower())


def security_fields(page: str) -> dict[str, str]:
    """The response fields that keep the page to itself: nothing else runs in it, frames it, or is loaded by it."""
    policy = (
        "default-src 'none'",
        f"script-src {_hashes(page, 'script')}",
        f"style-src {_hashes(page, 'style')}",
        "img-src data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
    return {
        "Content-Security-Policy": "; ".join(policy),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-store",
    }


def _hashes(page: str, element: str) -> str:
    """The sources that allow the inline elements of this name, as they are in the page, and no other."""
    contents = re.findall(rf"<{element}>(.*?)</{element}>", page, re.DOTALL)
    digests = (base64.b64encode(hashlib.sha256(content.encode()).digest()).decode() for content in contents)
    return " ".join(f"'sha256-{digest}'" for digest in digests)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
