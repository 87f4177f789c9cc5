"""How long the kernel believes in a client that says nothing any more.

Think of a ship that is called by radio. As long as there is something to tell it, silence is telling; while there is
nothing, somebody must call now and then and hear "still here". A client that goes without a word (a phone in a tunnel, a
laptop lid, a firewall that forgets) leaves a connection that looks exactly like a quiet one, and an event stream or a long
poll would stay for ever.

* While bytes wait for it, it must acknowledge some of them within `unacknowledged_s`. That is a little more than our own
  patience (write_timeout.py), so that who is there and takes nothing is found by us, and is called what it is.
* While nothing waits, it is called after `idle_s`, and again each `interval_s`. No application sees these calls.

WebSockets have their pings, requests that wait for their next byte have deadlines; this holds for what has neither.

No I/O here. Sources: RFC 9293, section 3.8.4; RFC 5482; tcp(7), TCP_USER_TIMEOUT.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass

#: How a connection ends that the kernel has given up, where nobody said so.
ERRNOS = frozenset({errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH})

LATER_THAN_WRITE_TIMEOUT_S = 5.0
WRITE_TIMEOUT_S_MAX = 60_000.0  #: the kernel knows no larger numbers than follow from it


@dataclass(frozen=True, slots=True)
class KeepaliveSettings:
    """What the kernel is told, in its own units where it has any: whole seconds for calls."""

    idle_s: int
    interval_s: int
    unacknowledged_s: float

    @classmethod
    def beside(cls, write_timeout_s: float) -> KeepaliveSettings:
        """As much as fits the time that a client has which takes nothing; a silent one is given up a few seconds later."""
        write_timeout_s = min(write_timeout_s, WRITE_TIMEOUT_S_MAX)
        return cls(
            idle_s=max(1, int(write_timeout_s / 2)),
            interval_s=max(1, int(write_timeout_s / 6)),
            unacknowledged_s=write_timeout_s + LATER_THAN_WRITE_TIMEOUT_S,
        )
