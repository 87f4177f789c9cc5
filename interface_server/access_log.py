"""One line for each answered request, in the words that users of uvicorn know, on the logger `towpath.access`.

Cheap when off: callers look at `enabled`, a plain attribute, before they put anything together.

A line is one line, and its parts are what they seem: llhttp has let no control byte into a target, a quotation mark in it is
shown as `%22`, and what a proxy calls a client is quoted where it holds more than an address may.
"""

from __future__ import annotations

import logging
import re
from urllib.parse import quote

logger = logging.getLogger("towpath.access")

#: What an address may be made of, and nothing that could end its place in the line.
ADDRESS = re.compile(r"[0-9A-Za-z.:%_\[\]-]*")


class AccessLog:
    """Whether lines are wanted, and the line."""

    __slots__ = ("enabled",)

    def __init__(self, wanted: bool) -> None:
        self.enabled = wanted and logger.isEnabledFor(logging.INFO)

    def line(self, client: tuple[str, int] | None, method: str, target: bytes, version: str, status: int) -> None:
        """Write `client - "GET /path?query HTTP/1.1" 200`. target: as it came."""
        logger.info(
            '%s - "%s %s HTTP/%s" %d',
            f"{client[0] if ADDRESS.fullmatch(client[0]) else quote(client[0])}:{client[1]}" if client else "-",
            method,
            target.decode("latin-1").replace('"', "%22"),
            version,
            status,
        )
