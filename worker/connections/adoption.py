"""Which connections a worker takes, how many at a time, and which never again.

Reading is not owning: what was read is taken by a script, and until that script has answered nothing is started. If its
answer is lost, nothing of it is ever started here: somebody else may. PROTOCOL.md, "Adoption" and "Unknown outcomes"; P2, P3.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

READ_MAX = 16
#: One connection and epoch of one interface server.
Key = tuple[str, int, int]


def read_count(free: int, queue_length: int, workers: int, lagging: bool) -> int:
    """How many entries to read now. 0 without a free slot; a fair share of the queue; 1 while the loop lags.

    queue_length: what the last take left behind. A worker that is alone leaves nothing to others by reading more.
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
    """What one worker has under way."""

    __slots__ = ("_abandon_s", "_abandoned", "_under_way")

    def __init__(self, abandon_s: float) -> None:
        self._under_way: dict[Key, list[list[object]]] = {}  # with the packets that came before the answer
        self._abandoned: dict[Key, float] = {}  # until when; by then the entry is past its wait
        self._abandon_s = abandon_s

    def __len__(self) -> int:
        """How many takes are not answered yet."""
        return len(self._under_way)

    def choose(self, keys: Iterable[Key], now: float, running: Container[Key] = ()) -> list[bool]:
        """For each that was read: may it be taken? True marks it as under way.

        Never two takes of one connection at once, nor one whose take was once without an answer, nor one of the `running`:
        what we claimed before our own take was executed may reach us after that take's answer.
        """
        for key in [key for key, until in self._abandoned.items() if until <= now]:
            del self._abandoned[key]
        chosen = []
        for key in keys:
            free = key not in self._under_way and key not in self._abandoned and key not in running
            if free:
                self._under_way[key] = []
            chosen.append(free)
        return chosen

    def is_abandoned(self, key: Key) -> bool:
        """Was its take once without an answer? Then somebody else has to start it."""
        return key in self._abandoned

    def buffer(self, key: Key, packet: list[object]) -> bool:
        """A packet for a connection came. True: its take is not answered yet, and the packet waits for that."""
        held = self._under_way.get(key)
        if held is None:
            return False
        held.append(packet)
        return True

    def answered(self, key: Key) -> list[list[object]]:
        """The take was answered: the packets that waited for it, in order."""
        return self._under_way.pop(key, [])

    def unanswered(self, key: Key, now: float) -> None:
        """The outcome of the take is unknown, for good: never again."""
        self._under_way.pop(key, None)
        self._abandoned[key] = now + self._abandon_s
