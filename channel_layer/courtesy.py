"""Whether a reader of a shared channel leaves what comes to others, and when it helps them all the same.

Think of a door at which several people arrive at once: who has time lets the others go first, and after a moment walks through if
somebody still stands there. So a reader that declines does not read; it looks, after each such moment, whether anything of what was
there at its last look is still there. The others are full, slow or gone then, and it reads, for as long a moment. Nothing waits longer
than two of them because everybody is polite.

No Redis and no clock here: the caller brings what it found and `now` (monotonic, seconds). PROTOCOL.md, "Adoption"; P7.
"""

from __future__ import annotations

NOTHING = b"0-0"  #: an id before that of every entry


class Courtesy:
    """One reader's. `seen`: the newest entry at its last look; whatever is not newer has been there for a moment at the next one."""

    __slots__ = ("_helps_until", "seen")

    def __init__(self) -> None:
        self.seen = NOTHING
        self._helps_until = 0.0

    def declines(self, leaves_s: float, now: float) -> bool:
        """Better look than read? leaves_s: for how long things are left to others; 0: they are not."""
        return leaves_s > 0 and now >= self._helps_until

    def looked(self, oldest: bytes | None, newest: bytes | None, leaves_s: float, now: float) -> bool:
        """What a look has found. True: others were not quick enough, so read now, and for `leaves_s` from now on.

        oldest: the first entry up to `seen`, None if all those are gone. newest: the last one of all, None if there is none.
        """
        self.seen = newest or NOTHING
        if oldest is None:
            return False
        self._helps_until = now + leaves_s
        return True
