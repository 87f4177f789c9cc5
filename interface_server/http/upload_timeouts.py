"""Finds exchanges that wait too long for more of their request's body.

No I/O here: the caller passes `now`.
"""

from __future__ import annotations

from typing import Protocol


class Uploading(Protocol):
    """An exchange with an incomplete request."""

    def body_late(self, now: float) -> None:
        """Decide what follows, and call `restart` or `forget`: no byte has come for the whole timeout."""


class UploadTimeouts:
    """The exchanges whose request is incomplete, each with the time of its last byte."""

    __slots__ = ("_since", "_timeout_s")

    def __init__(self, timeout_s: float) -> None:
        """timeout_s: 0: no body is late."""
        self._timeout_s = timeout_s
        self._since: dict[Uploading, float] = {}

    def __len__(self) -> int:
        return len(self._since)

    def __contains__(self, exchange: Uploading) -> bool:
        return exchange in self._since

    def restart(self, exchange: Uploading, now: float) -> None:
        """Start or restart the timeout of `exchange`."""
        self._since[exchange] = now

    def forget(self, exchange: Uploading) -> None:
        """Stop the timeout: no more of the body is expected, or it no longer matters when it comes."""
        self._since.pop(exchange, None)

    def check(self, now: float) -> None:
        """Call `body_late` of each exchange for which nothing has come within the timeout."""
        if self._timeout_s:
            for exchange in [each for each, since in self._since.items() if since < now - self._timeout_s]:
                exchange.body_late(now)
