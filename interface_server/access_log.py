"""One line for each answered request, in the words that users of uvicorn know, on the logger `towpath.access`.

Cheap when off: callers look at `enabled`, a plain attribute, before they put anything together.
"""

from __future__ import annotations

import logging

logger = logging.getLogger("towpath.access")


class AccessLog:
    """Whether lines are wanted, and the line."""

    __slots__ = ("enabled",)

    def __init__(self, wanted: bool) -> None:
        self.enabled = wanted and logger.isEnabledFor(logging.INFO)

    def line(self, client: tuple[str, int] | None, method: str, target: bytes, version: str, status: int) -> None:
        """Write `client - "GET /path?query HTTP/1.1" 200`. `target` is shown as it came: no control byte gets here."""
        logger.info(
            '%s - "%s %s HTTP/%s" %d',
            f"{client[0]}:{client[1]}" if client else "-",
            method,
            target.decode("latin-1"),
            version,
            status,
        )
