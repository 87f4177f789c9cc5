"""Whether a process ought to leave to its successors what they can take as well.

Think of the last day of a job: whoever is about to go begins nothing that the next one would have to take over at once. A *generation*
is `<fleet>/<number>`; each process says its own when it starts. Who hears of a higher number in its fleet gives way, for a while
only: a rollout that stops half-way must not leave the older ones idle.

No clock here: the caller brings `now` (monotonic, seconds). PROTOCOL.md, "Generations"; P7.
"""

from __future__ import annotations

#: After the last newcomer was heard of; longer than it takes until the next one.
YIELD_S = 60.0
#: What they have not taken in this time, or twice this time, is taken all the same.
DEFER_TO_NEWER_S = 1.0


class Generations:
    """One process among the generations of its fleet. own: empty for a process of no fleet, which gives way to nobody."""

    __slots__ = ("_fleet", "_number", "_until")

    def __init__(self, own: str) -> None:
        """Raises ValueError for what is no generation."""
        self._fleet, self._number = parse(own) if own else ("", 0)
        self._until = 0.0

    def announced(self, generation: str, now: float) -> bool:
        """Somebody has started. True: we give way to it from now on."""
        try:
            fleet, number = parse(generation)
        except ValueError:
            return False
        if fleet != self._fleet or number <= self._number:
            return False
        self._until = now + YIELD_S
        return True

    def yields_to_newer(self, now: float) -> bool:
        """Is what can wait for a moment better left to others?"""
        return now < self._until


def parse(generation: str) -> tuple[str, int]:
    """(fleet, number) of `<fleet>/<number>`, or ValueError."""
    fleet, _, number = generation.rpartition("/")
    if not fleet or not number.isascii() or not number.isdigit():
        raise ValueError(f"{generation!r} is no generation: <fleet>/<number>, such as web/7")
    return fleet, int(number)
