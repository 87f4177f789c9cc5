"""Process leases: whether a process is still alive, as its peers see it.

A process renews a lease of five seconds once a second (a parking ticket: no message reports a death, the ticket runs out).

* A slow process looks exactly like a dead one, so no death is assumed to be true. A process that declares one tells the dead
  process so, and accepts packets only from the current owner of each connection.
* A process may call a peer's lease expired only if its own renewals succeeded for a whole TTL, all in the same era of Redis'
  data. Otherwise an outage of Redis looks like the death of all processes at once.
* Before a process acts on a death it has read its inbox up to the end that it had then: the dead process may have finished in
  time.

No I/O: callers pass `now` (monotonic seconds) and Redis' replies, and get decisions. Promises P6 and P8.
"""

from __future__ import annotations

RENEWAL_INTERVAL_S = 1.0


class OwnLease:
    """The lease of this process: since when it has been renewed without interruption."""

    __slots__ = ("_finished", "_started", "renewed_at", "ttl_s", "unbroken_since")

    def __init__(self, ttl_s: float) -> None:
        self.ttl_s = ttl_s
        self._started = self._finished = 0
        self.unbroken_since: float | None = None
        self.renewed_at: float | None = None

    def renewal_started(self) -> None:
        """Count a renewal that begins. Called from any one thread, always the same one."""
        self._started += 1

    @property
    def renewal_pending(self) -> bool:
        """True if the outcome of a renewal is not known yet. It may have written a lease that had been gone."""
        return self._started != self._finished

    def renewed(self, now: float, found: bool) -> bool:
        """Record a renewal that succeeded. Returns True if the lease had lapsed, so that peers may have declared this process
        dead.

        found: the previous lease still existed.
        """
        self._finished += 1
        lapsed = not found and self.renewed_at is not None
        if not found or self.unbroken_since is None or now - (self.renewed_at or now) > self.ttl_s:
            self.unbroken_since = now
        self.renewed_at = now
        return lapsed

    def renewal_failed(self) -> None:
        """Record a renewal without an answer, or one that Redis rejected."""
        self._finished += 1
        self.mark_interrupted()

    def mark_interrupted(self) -> None:
        """Start the uninterrupted time anew. The event that interrupted our lease may have interrupted every lease."""
        self.unbroken_since = None

    def since_last_renewal_s(self, now: float) -> float:
        """The time since the start of the last renewal that succeeded."""
        return 0.0 if self.renewed_at is None else now - self.renewed_at

    def may_declare_dead(self, now: float) -> bool:
        """True if this process may call peers' leases expired: its own renewals have succeeded for a whole TTL."""
        return (
            self.unbroken_since is not None
            and self.renewed_at is not None
            and now - self.renewed_at < self.ttl_s
            and now - self.unbroken_since >= self.ttl_s
        )
