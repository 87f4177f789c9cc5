"""Which clients take too slowly what groups and third parties send them.

A burst is no slowness: however much comes in one turn of the loop, its reader has had no time for it. So what counts is how old the
oldest byte is that a client has not taken: all that waited at one moment must be acknowledged within the timeout, and then all that
waits at that moment. A client that reads at the speed at which it is sent to stays, and so does one that catches up.

No I/O here: a watched transport brings its numbers, the caller brings `now`. PROTOCOL.md, P5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Watched(Protocol):
    """What a transport must tell about itself (transport.Transport does)."""

    @property
    def written_bytes(self) -> int:
        """Bytes that were written to it since the connection began."""

    def acknowledged_bytes(self) -> int:
        """Those of them that the peer has acknowledged."""


class _Debt:
    """What a client has to take, and since when."""

    __slots__ = ("due_bytes", "on_slow", "since")

    def __init__(self, due_bytes: int, since: float, on_slow: Callable[[], None]) -> None:
        self.due_bytes = due_bytes
        self.since = since
        self.on_slow = on_slow


class SlowConsumers:
    """The transports for which much waits."""

    __slots__ = ("_debts", "_timeout_s")

    def __init__(self, timeout_s: float) -> None:
        """timeout_s: 0: nobody is slow."""
        self._timeout_s = timeout_s
        self._debts: dict[Watched, _Debt] = {}

    def __len__(self) -> int:
        return len(self._debts)

    def watch(self, transport: Watched, now: float, on_slow: Callable[[], None]) -> None:
        """What waits for `transport` now must be taken within the timeout, else `on_slow` is called, once.

        Watching again what is watched already keeps its history.
        """
        if self._timeout_s > 0 and transport not in self._debts:
            self._debts[transport] = _Debt(transport.written_bytes, now, on_slow)

    def forget(self, transport: Watched) -> None:
        """Little waits for it, or it is gone."""
        self._debts.pop(transport, None)

    def check(self, now: float) -> None:
        """Begin anew for each that has taken what it had to; call `on_slow` of those that have not in time."""
        for transport, debt in tuple(self._debts.items()):
            if transport.acknowledged_bytes() >= debt.due_bytes:
                debt.due_bytes, debt.since = transport.written_bytes, now
            elif now - debt.since >= self._timeout_s:
                self.forget(transport)
                debt.on_slow()
