"""One line for each answered request, in uvicorn's format, on the logger `towpath.access`.

What the server answers by itself (a refused head, a worker that died) has its reason behind the status.

Cheap when off: callers look at `enabled`, a plain attribute, before they put anything together.

A line is one line, and its parts are what they seem: llhttp has let no control byte into a target, a quotation mark in it is
shown as `%22`, and the address of a client that a proxy names is quoted where it holds more than an address may. What was
read of a refused head is quoted and cut.
"""

from __future__ import annotations

import logging
import re
from urllib.parse import quote

logger = logging.getLogger("towpath.access")

#: What an address may be made of, and nothing that could end its place in the line.
ADDRESS = re.compile(r"[0-9A-Za-z.:%_\[\]-]*")


#: All that is printed but the quotation mark, and bytes that are part of a quoted one already.
UNQUOTED = "".join(chr(number) for number in range(0x21, 0x7F) if chr(number) != '"')
CUT_AT_BYTES = 200  #: of a target that is refused, perhaps for its length

Peer = tuple[str, int] | None


class AccessLog:
    """Whether lines are wanted, and the line."""

    __slots__ = ("enabled",)

    def __init__(self, wanted: bool) -> None:
        self.enabled = wanted and logger.isEnabledFor(logging.INFO)

    def line(self, client: Peer, method: str, target: bytes, version: str, status: int, why: str = "") -> None:
        """Write `client - "GET /path?query HTTP/1.1" 200`, and `why` in brackets. target: as it came. why: a sentence of ours."""
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
        """Write `client - "GET /path" 400 (why)`, with `-` for a request of which no target was read."""
        request = f"{method.decode()} {quote(target[:CUT_AT_BYTES], safe=UNQUOTED)}" if target else "-"
        more = "..." if len(target) > CUT_AT_BYTES else ""
        logger.info('%s - "%s%s" %d (%s)', _quoted(client), request, more, status, why)


def _quoted(client: Peer) -> str:
    if client is None:
        return "-"
    return f"{client[0] if ADDRESS.fullmatch(client[0]) else quote(client[0])}:{client[1]}"
