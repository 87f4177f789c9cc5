"""Whether a reader of a shared channel leaves waiting entries to other workers, and when it reads them after all.

A reader that defers does not read. It checks, after each delay, whether any entry that was there at its last check has still not
been read. If so, the other workers are full, slow or gone, and it reads until nothing is left, or for another delay at most. So
no entry waits longer than two delays because every worker defers. An entry that was read and not taken is another matter: it is
claimed. If it were counted here, one entry that a dead reader holds would make all other workers believe for two seconds that
none of them reads.

No I/O: callers pass what they found and `now` (monotonic seconds). PROTOCOL.md, "Adoption"; P7.
"""

from __future__ import annotations

import math
from typing import Final

NOTHING: Final = b"0-0"  #: an id before that of every entry


class Deferral:
    """The deferral of one reader. `seen` is the newest entry at its last check: any older one has waited for a delay at the next
    check.
    """

    __slots__ = ("_helping_until", "_seen_at", "seen")

    def __init__(self) -> None:
        self.seen = NOTHING
        self._seen_at = -math.inf
        self._helping_until = 0.0

    def should_defer(self, defer_s: float, now: float) -> bool:
        """True if the reader should check instead of reading.

        defer_s: how long entries are left to others; 0: not at all.
        """
        return defer_s > 0 and now >= self._helping_until

    def record_check(self, waited: bytes | None, read: bytes, newest: bytes | None, defer_s: float, now: float) -> bool:
        """Record a check. Returns True if other workers were too slow, so that this one reads now, and for at most `defer_s` from
        now on.

        waited: the last entry up to `seen`, None if all those are gone. read: the id up to which entries were read by any worker.
        newest: the last entry of all, None if there is none. A check that comes early, since a connection was made anew, proves
        nothing: what it finds has not waited for a delay.
        """
        if now < self._seen_at + defer_s and self.seen != NOTHING:
            return False
        self.seen, self._seen_at = newest or NOTHING, now
        if waited is None or _position(waited) <= _position(read):
            return False
        self._helping_until = now + defer_s
        return True

    def nothing_left(self) -> None:
        """End the help early: all entries were read."""
        self._helping_until = 0.0


def _position(entry_id: bytes) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition(b"-")
    return int(milliseconds), int(number)
