"""Access log: one line for each answered request, in uvicorn's format, on the logger `towpath.access`.

An answer of the server's own (to a refused head, or after the death of a worker) has its reason after the status.

Cheap when off: callers check `enabled`, a plain attribute, before they build anything. These lines are written when an answer begins;
where more is asked for, access_writer.py writes them when it is over.

No client can add a line or forge a part of one. llhttp lets no control byte into a target, and a quotation mark in it is written
as `%22`. The address of a client that a proxy names is quoted if it contains more than an address may. The parts of a refused head
that were read are quoted and cut.
"""

from __future__ import annotations

import logging
from collections.abc import Container
from typing import Final

from channel_layer.protocol.events import Event
from interface_server.access_log.entry import Peer, cut_target, quoted_peer, quoted_target

logger: Final = logging.getLogger("towpath.access")


class AccessLog:
    """The access log, on or off."""

    __slots__ = ("enabled", "unlogged_paths")

    def __init__(self, enabled: bool, unlogged_paths: Container[str]) -> None:
        """unlogged_paths: decoded paths of requests that get no line, as those for health."""
        self.enabled = enabled
        self.unlogged_paths = unlogged_paths

    @staticmethod
    def is_heard() -> bool:
        """True if lines are shown at this log level."""
        return logger.isEnabledFor(logging.INFO)

    def opened(self, channel: str, begun_s: float) -> None:
        """Note that a request was opened, as which reply channel and when (monotonic). Lines of this format show neither."""

    def request(self, event: Event, path: str, target: bytes, status: int, why: str = "") -> None:
        """Write the line of a request with this scope. path: decoded. target: as received. why: of an answer of our own."""
        if path not in self.unlogged_paths:
            self.line(event["client"], event["method"], target, event["http_version"], status, why)

    def line(self, client: Peer, method: str, target: bytes, version: str, status: int, why: str = "") -> None:
        """Write `client - "GET /path?query HTTP/1.1" 200`, and `why` in brackets.

        target: as received. why: a sentence of ours.
        """
        logger.info(
            '%s - "%s %s HTTP/%s" %d%s',
            quoted_peer(client),
            method,
            target.decode("latin-1").replace('"', "%22"),
            version,
            status,
            f" ({why})" if why else "",
        )

    def refused(self, client: Peer, method: bytes, target: bytes, status: int, why: str) -> None:
        """Write `client - "GET /path" 400 (why)`, with `-` if no target was read."""
        request = f"{method.decode()} {quoted_target(cut_target(target))}" if target else "-"
        logger.info('%s - "%s" %d (%s)', quoted_peer(client), request, status, why)
