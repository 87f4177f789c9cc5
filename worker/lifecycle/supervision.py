"""The interface between a worker and its supervisor. `towpath serve` is one; most workers have none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Supervision(Protocol):
    """The supervisor, as its worker sees it."""

    #: True if the supervisor may receive the same stop signal as the worker, and then sends it to the worker once more.
    may_repeat_stop_signal: bool

    def ask_for_successor(self, why: str) -> bool:
        """Ask for a worker that replaces this one. False: the supervisor cannot start one before this one leaves."""

    async def dismissal(self) -> None:
        """Wait until this worker, which was asked to stop, is no longer needed to take connections."""

    def has_loaded(self) -> None:
        """Report that the application has been loaded."""

    def report_ready(self) -> None:
        """Report that this worker takes connections, or messages."""

    def report_stopping(self) -> None:
        """Report that this worker stops."""

    async def follow(self, pause: Callable[[bool], None]) -> None:
        """Call `pause` whenever the worker must take nothing (True) or may take connections again (False).

        Returns when it is known which of them is true at the start.
        """


class Unsupervised:
    """A worker that runs alone."""

    may_repeat_stop_signal = False

    def ask_for_successor(self, why: str) -> bool:
        """Returns False: there is no supervisor that could start one."""
        return False

    async def dismissal(self) -> None:
        """Return at once: other workers take what waits."""

    def has_loaded(self) -> None:
        """Do nothing: no supervisor waits for that."""

    def report_ready(self) -> None:
        """Do nothing, for the same reason."""

    def report_stopping(self) -> None:
        """Do nothing, for the same reason."""

    async def follow(self, pause: Callable[[bool], None]) -> None:
        """Return at once: no supervisor pauses it."""
