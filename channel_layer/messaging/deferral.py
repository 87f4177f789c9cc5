"""Whether a reader of a shared channel leaves what comes to others, and when it helps them all the same.

Think of a door at which several people arrive at once: who has time lets the others go first, and after a moment walks through if
somebody still stands there. So a reader that declines does not read; it looks, after each such moment, whether anything of what was
there at its last look has still been read by nobody. The others are full, slow or gone then, and it reads until nothing is left, or for
as long a moment. Nothing waits longer than two of them because everybody is polite. (What was read and not taken is another matter: it
is claimed. Were it counted here, one entry that a dead reader holds would make all others believe for two seconds that nobody reads.)

No Redis and no clock here: the caller brings what it found and `now` (monotonic, seconds). PROTOCOL.md, "Adoption"; P7.
"""

from __future__ import annotations

import math

NOTHING = b"0-0"  #: an id before that of every entry


class Deferral:
    """One reader's. `seen`: the newest entry at its last look; whatever is not newer has been there for a moment at the next one."""

    __slots__ = ("_helping_until", "_seen_at", "seen")

    def __init__(self) -> None:
        self.seen = NOTHING
        self._seen_at = -math.inf
        self._helping_until = 0.0

    def should_defer(self, defer_s: float, now: float) -> bool:
        """Better look than read? defer_s: for how long things are left to others; 0: they are not."""
        return defer_s > 0 and now >= self._helping_until

    def record_look(self, waited: bytes | None, read: bytes, newest: bytes | None, defer_s: float, now: float) -> bool:
        """What a look has found. True: others were not quick enough, so read now, and for `defer_s` from now on at the most.

        waited: the last entry up to `seen`, None if all those are gone. read: up to where entries were read by anybody. newest: the
        last one of all, None if there is none. A look that comes early, since a connection was made anew, tells nothing: what it
        finds has not been there for a moment.
        """
        if now < self._seen_at + defer_s and self.seen != NOTHING:
            return False
        self.seen, self._seen_at = newest or NOTHING, now
        if waited is None or _position(waited) <= _position(read):
            return False
        self._helping_until = now + defer_s
        return True

    def nothing_left(self) -> None:
        """Everything was read: no more help is needed."""
        self._helping_until = 0.0


def _position(entry_id: bytes) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition(b"-")
    return int(milliseconds), int(number)
