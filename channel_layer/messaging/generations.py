"""Whether a process leaves to newer ones of its fleet what they can take as well.

A process that is about to be replaced should not adopt connections that it would soon have to hand over. A *generation* is
`<fleet>/<number>`, and each process announces its own when it starts. A process that hears of a higher number in its fleet
yields, and only for a while: a rollout that stops half-way must not leave the older processes idle.

No I/O: callers pass `now` (monotonic seconds). PROTOCOL.md, "Generations"; P7.
"""

from __future__ import annotations

from typing import Final

#: How long a process yields after the last newer one was announced; longer than it takes until the next one.
YIELD_S: Final = 60.0
#: Entries that newer processes have not taken after once or twice this time are taken all the same.
DEFER_TO_NEWER_S: Final = 1.0


class Generations:
    """One process among the generations of its fleet. own: empty for a process of no fleet, which never yields."""

    __slots__ = ("_fleet", "_number", "_until")

    def __init__(self, own: str) -> None:
        """Raises ValueError if `own` is no generation."""
        self._fleet, self._number = parse(own) if own else ("", 0)
        self._until = 0.0

    def announced(self, generation: str, now: float) -> bool:
        """Record that a process of this generation has started. Returns True if this process yields to it from now on."""
        try:
            fleet, number = parse(generation)
        except ValueError:
            return False
        if fleet != self._fleet or number <= self._number:
            return False
        self._until = now + YIELD_S
        return True

    def yields_to_newer(self, now: float) -> bool:
        """True if what can wait for a moment is better left to newer processes."""
        return now < self._until


def parse(generation: str) -> tuple[str, int]:
    """(fleet, number) of `<fleet>/<number>`. Raises ValueError."""
    fleet, _, number = generation.rpartition("/")
    if not fleet or not number.isascii() or not number.isdigit():
        raise ValueError(f"{generation!r} is no generation: <fleet>/<number>, such as web/7")
    return fleet, int(number)
