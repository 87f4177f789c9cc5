"""Access log: one line for each answered request, in uvicorn's format, on the logger `towpath.access`.

An answer of the server's own (to a refused head, or after the death of a worker) has its reason after the status.

Cheap when off: callers check `enabled`, a plain attribute, before they build anything.

No client can add a line or forge a part of one. llhttp lets no control byte into a target, and a quotation mark in it is written
as `%22`. The address of a client that a proxy names is quoted if it contains more than an address may. The parts of a refused head
that were read are quoted and cut.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Container
from typing import Final
from urllib.parse import quote

from interface_server.http.request import Head

logger: Final = logging.getLogger("towpath.access")

#: The characters of an address; none of them could end its field in the line.
ADDRESS: Final = re.compile(r"[0-9A-Za-z.:%_\[\]-]*")


#: All printable characters but the quotation mark, with the `%` of bytes that are quoted already.
UNQUOTED: Final = "".join(chr(number) for number in range(0x21, 0x7F) if chr(number) != '"')
CUT_AT_BYTES: Final = 200  #: of a target that is refused, perhaps for its length

Peer = tuple[str, int] | None


class AccessLog:
    """The access log, on or off."""

    __slots__ = ("_unlogged_paths", "enabled")

    def __init__(self, wanted: bool, unlogged_paths: Container[str]) -> None:
        """unlogged_paths: decoded paths of requests that get no line, as those for health."""
        self.enabled = wanted and logger.isEnabledFor(logging.INFO)
        self._unlogged_paths = unlogged_paths

    def request(self, head: Head, client: Peer, status: int, why: str = "") -> None:
        """Write the line of a request with this head. why: of an answer of our own."""
        if head.path not in self._unlogged_paths:
            self.line(client, head.method, head.target, head.version, status, why)

    def line(self, client: Peer, method: str, target: bytes, version: str, status: int, why: str = "") -> None:
        """Write `client - "GET /path?query HTTP/1.1" 200`, and `why` in brackets.

        target: as received. why: a sentence of ours.
        """
        logger.info(
            '%s - "%s %s HTTP/%s" %d%s',
            _quoted(client),
            method,
            target.decode("latin-1").replace('"', "%22"),
            version,
            status,
            f" ({why})" if why else "",
        )

    def refused(self, client: Peer, method: bytes, target: bytes, status: int, why: str) -> None:
        """Write `client - "GET /path" 400 (why)`, with `-` if no target was read."""
        request = f"{method.decode()} {quote(target[:CUT_AT_BYTES], safe=UNQUOTED)}" if target else "-"
        more = "..." if len(target) > CUT_AT_BYTES else ""
        logger.info('%s - "%s%s" %d (%s)', _quoted(client), request, more, status, why)


def _quoted(client: Peer) -> str:
    if client is None:
        return "-"
    return f"{client[0] if ADDRESS.fullmatch(client[0]) else quote(client[0])}:{client[1]}"
