"""Logs the loss of one connection to Redis with its reason: at once, again while it lasts, and its return.

A node has several connections, which an outage takes away together. Then one line tells the loss of the first, and one the return
of the last; lines of the others are for debugging.

A connection that is ended on purpose returns at once and is not logged, unless two checks have found it missing. No I/O but the
log: `now` is monotonic, in seconds.
"""

from __future__ import annotations

import logging
from enum import Enum, auto

from channel_layer.protocol.illegal_move import legal_move
from channel_layer.redis.outage import Outage

log = logging.getLogger("towpath.redis")

#: The reason of the loss ("closed by Redis") tells little; the errors of the attempts to reconnect tell more.
FIRST_REMINDER_S = 5.0
REMINDER_S = 60.0


class LossState(Enum):
    """The state of a connection as far as the log is concerned."""

    HERE = auto()
    EXPECTED = auto()  # it is ended on purpose, and another will be made in a moment
    MISSED = auto()  # one check has found that the other is not there yet
    REPORTED = auto()  # the loss is logged


#: Every legal move. A loss that was noticed is not expected afterwards: its return is logged as that of any other.
MOVES = {
    LossState.HERE: (LossState.EXPECTED, LossState.REPORTED),
    LossState.EXPECTED: (LossState.MISSED, LossState.HERE),
    LossState.MISSED: (LossState.REPORTED, LossState.HERE),
    LossState.REPORTED: (LossState.HERE,),
}


class ConnectionLog:
    """The log of the connection for one purpose (`what`)."""

    __slots__ = ("_outage", "_since", "_state", "_what", "_why")

    def __init__(self, what: str, outage: Outage) -> None:
        """outage: shared by the connections of one node."""
        self._what = what
        self._outage = outage
        self._state = LossState.HERE
        self._since = 0.0
        self._why = ""

    def expect_loss(self) -> None:
        """Expect a loss that is caused on purpose."""
        if self._state is LossState.HERE:
            self._enter(LossState.EXPECTED)

    def lost(self, why: str, now: float) -> None:
        """Record the loss of the connection."""
        self._why, self._since = why, now
        if self._state is LossState.HERE:
            self._report(now)

    def attempt_failed(self, why: str) -> None:
        """Record why the last attempt to reconnect failed."""
        self._why = why

    def missed(self, now: float) -> None:
        """Record that a check found no connection. Once a second."""
        if self._state is LossState.REPORTED:
            self._remind(now)
        elif self._state is LossState.MISSED:
            self._report(now)
        elif self._state is LossState.EXPECTED:
            self._enter(LossState.MISSED)

    def restored(self) -> None:
        """Record that a new connection is established."""
        away = self._outage.over(self) if self._state is LossState.REPORTED else 0
        which = self._what if away <= 1 else f"all {away} connections"
        log.log(logging.INFO if away else logging.DEBUG, "connected to Redis again (%s)", which)
        if self._state is not LossState.HERE:
            self._enter(LossState.HERE)

    def close(self) -> None:
        """Log nothing any more: the connection is not wanted."""
        self._outage.over(self)

    def _enter(self, state: LossState) -> None:
        """Move on to `state`. Raises IllegalMove if the table has no such move."""
        self._state = legal_move(MOVES, self._state, state, "a connection to Redis")

    def _report(self, now: float) -> None:
        self._enter(LossState.REPORTED)
        is_news = self._outage.lost(self)
        if is_news:
            self._outage.remind_at = now + FIRST_REMINDER_S
        level = logging.WARNING if is_news else logging.DEBUG
        log.log(level, "lost the connection to Redis (%s): %s", self._what, self._why)

    def _remind(self, now: float) -> None:
        if now >= self._outage.remind_at and self._outage.is_first(self):
            self._outage.remind_at = now + REMINDER_S
            which = self._what + self._outage.others()
            log.warning("no connection to Redis for %.0f s (%s): %s", now - self._since, which, self._why)
