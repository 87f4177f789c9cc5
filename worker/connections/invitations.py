"""Decides how many requests each interface server may send to this worker directly, without the shared channel.

A worker invites while it is *calm*: its event loop has not been blocked lately, it stays, and it has free places. All interface servers
get the same part of those. A worker whose application blocks its loop now and then does not invite: what waits in its inbox meanwhile
waits behind the block, and what waits on the shared channel goes to another worker.

No clock here: the caller passes `now` (monotonic, seconds). PROTOCOL.md, "Invitations"; P2, P3.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

#: For one interface server at most. It bounds what may wait in an inbox: so many requests of 64 KiB.
QUOTA_MAX: Final = 64
#: Interface servers whose last number is remembered, those that have left included: a batch may be sent again after a while.
REMEMBERED_MAX: Final = 1_000
#: A worker invites again after so long, and after twice as long each time that its loop is blocked again within SOON_S of that.
CALM_S: Final = 2.0
CALM_S_MAX: Final = 32.0
SOON_S: Final = 8.0
#: An application is quick when so many requests in a row have begun, and no turn of the event loop with their first steps was longer than
#: that. It is half of the time after which an interface server asks back: a request may wait for one such turn, and begin in the next.
QUICK_AFTER: Final = 1_000
QUICK_S: Final = 0.01


class Invitations:
    """The invitations of one worker. `guests`: the interface servers that it may invite."""

    __slots__ = ("_blocked_until", "_calm_s", "_last", "_quick_count", "_takes_invitations", "guests", "quick_after")

    def __init__(self) -> None:
        self.guests: list[str] = []
        self.quick_after = QUICK_AFTER
        self._quick_count = 0
        self._takes_invitations: dict[str, bool] = {}  # by living interface server
        self._last: dict[str, int] = {}
        self._blocked_until = -math.inf
        self._calm_s = CALM_S  # after the next block

    def learn(self, living: Iterable[str], leases: Mapping[str, Mapping[str, Any]]) -> None:
        """Take those of the living interface servers as guests whose lease says that they know invitations.

        leases: by name, as far as they were read. One that was read once need not be read again.
        """
        before = self._takes_invitations
        self._takes_invitations = {
            name: before[name] if name in before else leases[name].get("takes_invitations") is True
            for name in living
            if name in before or name in leases
        }
        self.guests = [name for name, takes in self._takes_invitations.items() if takes]

    def needs_leases(self, living: Iterable[str]) -> bool:
        """True if the lease of any living interface server is still to be read."""
        return any(name not in self._takes_invitations for name in living)

    def last(self, interface: str) -> int:
        """The number of the last request that came from it directly; 0: none did."""
        return self._last.get(interface, 0)

    def is_next(self, interface: str, number: int) -> bool:
        """Record a request that came directly. False: it is not the first time, since its batch was sent again.

        The numbers of an interface server grow with each connection, and only first epochs come directly.
        """
        if number <= self.last(interface):
            return False
        if interface not in self._last and len(self._last) >= REMEMBERED_MAX:
            del self._last[min(self._last, key=self.guests.__contains__)]  # the first that is no guest, if any is
        self._last[interface] = number
        return True

    def blocked(self, now: float) -> None:
        """Record that the event loop was blocked."""
        self._quick_count = 0
        if now < self._blocked_until:
            return
        soon = now < self._blocked_until + SOON_S
        self._calm_s = min(CALM_S_MAX, 2 * self._calm_s) if soon else CALM_S
        self._blocked_until = now + self._calm_s

    def began(self, count: int, took_s: float) -> None:
        """Record that so many requests have begun, and how long the turn of the event loop with the first steps of all took."""
        self._quick_count = 0 if took_s > QUICK_S else self._quick_count + count

    @property
    def is_quick(self) -> bool:
        """True if the application is not expected to keep the event loop when it begins with a request."""
        return self._quick_count >= self.quick_after

    def quota(self, free: int, now: float) -> int:
        """The quota for each interface server, of so many free places."""
        if free <= 0 or not self.guests or now < self._blocked_until:
            return 0
        return min(QUOTA_MAX, free // len(self.guests))
