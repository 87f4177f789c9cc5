"""Decides how many requests each interface server may send to this worker directly, without the shared channel.

A worker invites while it is *calm*: its event loop has not been blocked lately, it stays, and it has free places. All interface servers
get the same part of those. A worker whose application blocks its loop now and then does not invite: what waits in its inbox meanwhile
waits behind the block, and what waits on the shared channel goes to another worker.

No clock here: the caller passes `now` (monotonic, seconds). PROTOCOL.md, "Invitations"; P2, P3.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable

#: For one interface server at most. It bounds what may wait in an inbox: so many requests of 64 KiB.
QUOTA_MAX = 64
#: Interface servers whose last number is remembered, those that have left included: a batch may be sent again after a while.
REMEMBERED_MAX = 1_000
FOUND_S = 3.0  #: the leases of all processes are listed each second
#: A worker invites again when its loop was not blocked for so long, and for twice as long if that happens again soon.
CALM_S, CALM_S_MAX = 0.5, 8.0


class Invitations:
    """The invitations of one worker. `guests`: the interface servers that it may invite, with the time at which it met each."""

    __slots__ = ("_blocked_until", "_calm_s", "_last", "guests")

    def __init__(self) -> None:
        self.guests: dict[str, float] = {}
        self._last: dict[str, int] = {}
        self._blocked_until = -math.inf
        self._calm_s = CALM_S  # after the next block

    def meet(self, interface: str, now: float) -> None:
        """Record an interface server that knows invitations."""
        self.guests[interface] = now

    def keep(self, living: Container[str], now: float) -> Iterable[str]:
        """Forget the interface servers that are not among the `living`, if they have had time to be found there. Returns the others."""
        self.guests = {name: met for name, met in self.guests.items() if name in living or now - met < FOUND_S}
        return self.guests

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
            del self._last[next(iter(self._last))]
        self._last[interface] = number
        return True

    def blocked(self, now: float) -> None:
        """Record that the event loop was blocked."""
        if now < self._blocked_until:
            return
        soon = now < self._blocked_until + CALM_S_MAX
        self._calm_s = min(CALM_S_MAX, 2 * self._calm_s) if soon else CALM_S
        self._blocked_until = now + self._calm_s

    def quota(self, free: int, now: float) -> int:
        """The quota for each interface server, of so many free places."""
        if free <= 0 or not self.guests or now < self._blocked_until:
            return 0
        return min(QUOTA_MAX, free // len(self.guests))
