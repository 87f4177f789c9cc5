"""Which clients take nothing at all, although bytes wait for them.

Think of a post box that nobody empties. Slow is no offence: whoever takes one byte within the limit stays. So the question
is not how much waits, nor whether our own buffer moved (the kernel's buffers are large, and an honest reader of 10 kB/s
moves ours once in minutes), but whether what the *peer acknowledged* has grown. PROTOCOL.md, P5.

No I/O here: a watched transport brings its numbers, the caller brings `now`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Watched(Protocol):
    """What a transport must tell about itself (transport.Transport does)."""

    def acknowledged_bytes(self) -> int:
        """Bytes that the peer has acknowledged since the connection began."""


class _Progress:
    __slots__ = ("acknowledged", "on_stalled", "since")

    def __init__(self, acknowledged: int, since: float, on_stalled: Callable[[], None]) -> None:
        self.acknowledged = acknowledged
        self.since = since
        self.on_stalled = on_stalled


class WriteTimeouts:
    """The transports whose writing is paused (or that are closing with bytes left), and since when each has not moved."""

    __slots__ = ("_timeout_s", "_watched")

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._watched: dict[Watched, _Progress] = {}

    def __len__(self) -> int:
        return len(self._watched)

    def watch(self, transport: Watched, now: float, on_stalled: Callable[[], None]) -> None:
        """From now on expect progress of `transport`; without any for the timeout, `on_stalled` is called, once.

        Watching again what is watched already keeps its history.
        """
        if transport not in self._watched:
            self._watched[transport] = _Progress(transport.acknowledged_bytes(), now, on_stalled)

    def forget(self, transport: Watched) -> None:
        """Nothing is expected of `transport` any more: it moved below its mark, or it is gone."""
        self._watched.pop(transport, None)

    def check(self, now: float) -> None:
        """Note who has moved since the last time; call `on_stalled` of those who have not for too long."""
        for transport, progress in tuple(self._watched.items()):
            acknowledged = transport.acknowledged_bytes()
            if acknowledged > progress.acknowledged:
                progress.acknowledged, progress.since = acknowledged, now
            elif now - progress.since >= self._timeout_s:
                self.forget(transport)
                progress.on_stalled()
