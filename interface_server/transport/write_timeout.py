"""Write timeouts: finds clients that take nothing although bytes wait for them.

A slow client is allowed: one that takes a single byte within the timeout stays. So neither the size of what waits counts, nor progress
of our own buffer: the kernel's buffers are large, and an honest reader of 10 kB/s moves ours once in minutes. What counts is whether the
number of bytes that the *peer acknowledged* has grown. PROTOCOL.md, P5.

No I/O here: a watched transport supplies its numbers, the caller passes `now`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Watched(Protocol):
    """The numbers of a transport that is watched (transport.Transport has them)."""

    def acknowledged_bytes(self) -> int:
        """Bytes that the peer has acknowledged since the connection began."""


class _Progress:
    __slots__ = ("acknowledged", "on_stalled", "since")

    def __init__(self, acknowledged: int, since: float, on_stalled: Callable[[], None]) -> None:
        self.acknowledged = acknowledged
        self.since = since
        self.on_stalled = on_stalled


class WriteTimeouts:
    """Transports with paused writing, or closing with bytes left, and the time of their last progress."""

    __slots__ = ("_timeout_s", "_watched")

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._watched: dict[Watched, _Progress] = {}

    def __len__(self) -> int:
        return len(self._watched)

    def watch(self, transport: Watched, now: float, on_stalled: Callable[[], None]) -> None:
        """Expect progress of `transport` from now on; after a timeout without any, `on_stalled` is called once.

        A transport that is already watched keeps its history.
        """
        if transport not in self._watched:
            self._watched[transport] = _Progress(transport.acknowledged_bytes(), now, on_stalled)

    def forget(self, transport: Watched) -> None:
        """Stop watching `transport`: its buffer is below the mark, or it has ended."""
        self._watched.pop(transport, None)

    def check(self, now: float) -> None:
        """Note the progress of each transport; call `on_stalled` of those that made none for the timeout."""
        for transport, progress in tuple(self._watched.items()):
            acknowledged = transport.acknowledged_bytes()
            if acknowledged > progress.acknowledged:
                progress.acknowledged, progress.since = acknowledged, now
            elif now - progress.since >= self._timeout_s:
                self.forget(transport)
                progress.on_stalled()
