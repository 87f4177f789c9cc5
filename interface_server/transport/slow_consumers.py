"""Finds clients that are too slow for messages of groups and third parties.

A burst does not make a client slow: it has had no time to read what comes in one turn of the loop. The measure is the age of the oldest
byte that a client has not taken. All bytes that wait at one moment must be acknowledged within the timeout, and then all bytes that wait
at that moment. A client that reads as fast as it is sent to is never slow, nor is one that catches up.

No I/O here: a watched transport supplies its numbers, the caller passes `now`. PROTOCOL.md, P5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Watched(Protocol):
    """The numbers of a transport that is watched (transport.Transport has them)."""

    @property
    def written_bytes(self) -> int:
        """Bytes that were written since the connection began."""

    def acknowledged_bytes(self) -> int:
        """Bytes of these that the peer has acknowledged."""


class _Debt:
    """The bytes that a client has to take, and since when."""

    __slots__ = ("due_bytes", "on_slow", "since")

    def __init__(self, due_bytes: int, since: float, on_slow: Callable[[], None]) -> None:
        self.due_bytes = due_bytes
        self.since = since
        self.on_slow = on_slow


class SlowConsumers:
    """Transports for which many bytes wait."""

    __slots__ = ("_debts", "_timeout_s")

    def __init__(self, timeout_s: float) -> None:
        """timeout_s: 0 turns the watch off."""
        self._timeout_s = timeout_s
        self._debts: dict[Watched, _Debt] = {}

    def __len__(self) -> int:
        return len(self._debts)

    def watch(self, transport: Watched, now: float, on_slow: Callable[[], None]) -> None:
        """Call `on_slow` once if `transport` does not take within the timeout what waits for it now.

        A transport that is already watched keeps its history.
        """
        if self._timeout_s > 0 and transport not in self._debts:
            self._debts[transport] = _Debt(transport.written_bytes, now, on_slow)

    def forget(self, transport: Watched) -> None:
        """Stop watching `transport`: little waits for it, or it has ended."""
        self._debts.pop(transport, None)

    def check(self, now: float) -> None:
        """Restart the timeout of each transport that has taken its bytes; call `on_slow` of those that are late."""
        for transport, debt in tuple(self._debts.items()):
            if transport.acknowledged_bytes() >= debt.due_bytes:
                debt.due_bytes, debt.since = transport.written_bytes, now
            elif now - debt.since >= self._timeout_s:
                self.forget(transport)
                debt.on_slow()
