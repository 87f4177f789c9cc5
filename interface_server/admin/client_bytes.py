"""Counts the bytes of all clients for the admin port: heads, bodies and frames, as the sockets carry them.

What is written counts once uvloop has it: a client may not have taken the last of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


class Written(Protocol):
    """A transport, as it is measured."""

    @property
    def written_bytes(self) -> int: ...


class ClientBytes:
    """A `ByteMeter`. One thread counts; any other may read `items`."""

    def __init__(self) -> None:
        self.received_bytes = 0
        self._written_bytes = 0  # by the transports that are closed
        self._open: set[Written] = set()
        self._shown_bytes = 0  # as sent, when it was read last

    def opened(self, transport: Written) -> None:
        """See `ByteMeter.opened`."""
        self._open.add(transport)

    def closed(self, transport: Written) -> None:
        """See `ByteMeter.closed`."""
        if transport in self._open:  # else it was not admitted
            self._open.discard(transport)
            self._written_bytes += transport.written_bytes

    def items(self) -> Iterator[tuple[str, int]]:
        """The bytes of this moment, by their direction."""
        yield "received", self.received_bytes
        yield "sent", self._sent()

    def _sent(self) -> int:
        """A transport that closes at this moment may count not at all: what was shown never becomes less."""
        still_open = tuple(self._open)
        written = self._written_bytes + sum(transport.written_bytes for transport in still_open)
        self._shown_bytes = max(self._shown_bytes, written)
        return self._shown_bytes
