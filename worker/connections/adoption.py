"""Decides which connections a worker takes, how many at a time, and which it never takes again.

Reading is not owning: a script takes what was read, and nothing is started before that script has answered. If its answer
is lost, this worker never starts any of those connections; another worker may. PROTOCOL.md, "Adoption" and "Unknown outcomes"; P2, P3.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Final

from channel_layer.messaging.entry import Entry

READ_MAX: Final = 16
#: One connection and epoch of one interface server.
Key = tuple[str, int, int]


def read_count(free: int, queue_length: int, workers: int, lagging: bool) -> int:
    """The number of entries to read now: 0 without capacity, 1 while the loop lags, else a fair share.

    queue_length: the number of entries that the last take left behind. A worker without peers takes nothing from others by reading more.
    """
    if free <= 0:
        return 0
    if workers <= 1:
        return min(free, READ_MAX)
    if lagging:
        return 1
    share = -(-queue_length // workers)
    return max(1, min(free, READ_MAX, share))


class Adoption:
    """The takes of one worker that are not answered yet, and those that never were."""

    __slots__ = ("_abandon_s", "_abandoned", "_under_way")

    def __init__(self, abandon_s: float) -> None:
        self._under_way: dict[Key, list[list[object]]] = {}  # with the packets that came before the answer
        self._abandoned: dict[Key, float] = {}  # until when; by then the wait of the entry is over
        self._abandon_s = abandon_s

    def __len__(self) -> int:
        """The number of takes that are not answered yet."""
        return len(self._under_way)

    def choose(self, entries: Iterable[Entry], now: float, running: Container[Key] = ()) -> list[Entry]:
        """The entries that may be taken, of those that were read. They are under way from now on.

        There are never two takes of one connection at once; an abandoned connection is not taken, nor one of the `running`:
        an entry that was claimed before this worker's own take was executed may arrive after the answer to that take.
        """
        if self._abandoned:
            self._abandoned = {key: until for key, until in self._abandoned.items() if until > now}
        chosen = []
        for entry in entries:
            key = entry.key
            if key not in self._under_way and key not in self._abandoned and key not in running:
                self._under_way[key] = []
                chosen.append(entry)
        return chosen

    def is_abandoned(self, key: Key) -> bool:
        """True if a take of this connection was never answered: another worker has to start it."""
        return key in self._abandoned

    def buffer(self, key: Key, packet: list[object]) -> bool:
        """Keep a packet until the take of its connection is answered. False: no such take is under way."""
        held = self._under_way.get(key)
        if held is None:
            return False
        held.append(packet)
        return True

    def answered(self, key: Key) -> list[list[object]]:
        """The take was answered. Returns the packets that were buffered meanwhile, in order."""
        return self._under_way.pop(key, [])

    def unanswered(self, key: Key, now: float) -> None:
        """Never take this connection again: the outcome of its take stays unknown."""
        self._under_way.pop(key, None)
        self._abandoned[key] = now + self._abandon_s
