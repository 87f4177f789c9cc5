"""What a worker asks of the process that supervises it, and what it is told by it. `towpath serve` is one; most have none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Supervision(Protocol):
    """The supervisor, as its worker sees it."""

    says_it_again: bool  #: it may have been told to stop together with the worker, and then tells the worker too

    def ask_for_successor(self, why: str) -> bool:
        """Ask for another worker in this one's place. False: nobody could send one first."""

    async def dismissal(self) -> None:
        """The worker was asked to leave: return when nobody may need it to take what waits."""

    def has_loaded(self) -> None:
        """Hear that the application has been loaded."""

    async def follow(self, pause: Callable[[bool], None]) -> None:
        """Call `pause` whenever the worker is to take nothing (True) or may take again (False).

        Returns when it is known which of them is true at the start.
        """


class Unsupervised:
    """A worker that runs alone."""

    says_it_again = False

    def ask_for_successor(self, why: str) -> bool:
        """Nobody could send one."""
        return False

    async def dismissal(self) -> None:
        """Others take what waits."""

    def has_loaded(self) -> None:
        """Nobody waits for that."""

    async def follow(self, pause: Callable[[bool], None]) -> None:
        """Nobody pauses it."""
