"""That a connection to Redis is lost, told to people: once, and again when it is back.

One that is ended on purpose comes back at once and is no news; it becomes news when two looks have found it missing.
"""

from __future__ import annotations

import logging
from enum import Enum, auto

log = logging.getLogger("towpath.redis")


class State(Enum):
    """What is known of a connection."""

    HERE = auto()
    EXPECTED = auto()  # it is ended on purpose, and another will stand in a moment
    MISSED = auto()  # one look has found that it does not stand yet
    TOLD = auto()  # people have heard that it is lost


class Absence:
    """Of the connection for one purpose (`what`)."""

    __slots__ = ("_state", "_what")

    def __init__(self, what: str) -> None:
        self._what = what
        self._state = State.HERE

    def expect(self) -> None:
        """It will be lost on purpose."""
        self._state = State.EXPECTED

    def lost(self) -> None:
        """It is lost."""
        if self._state is State.HERE:
            self._tell()

    def missed(self) -> None:
        """A look finds none."""
        if self._state is State.MISSED:
            self._tell()
        elif self._state is State.EXPECTED:
            self._state = State.MISSED

    def over(self) -> None:
        """Another stands."""
        level = logging.INFO if self._state is State.TOLD else logging.DEBUG
        log.log(level, "connected to Redis again (%s)", self._what)
        self._state = State.HERE

    def _tell(self) -> None:
        self._state = State.TOLD
        log.warning("lost the connection to Redis (%s)", self._what)
