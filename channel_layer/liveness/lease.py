"""Whether a process is still alive, as others see it.

Think of a parking ticket. A process buys five seconds and buys again each second. If it dies, nobody tells us; the ticket
runs out.

* A slow process looks exactly like a dead one. So death is never assumed to be true: whoever declares it tells the dead, and
  obeys only the current owner of each connection.
* Only somebody whose own renewals all worked for a whole while may call another's expired, and all with the same life of Redis'
  data: else an outage of Redis looks like a massacre.
* Before it acts on a death it has read its inbox as far as it was then: the dead may have said its last word in time.

No I/O here: the caller brings `now` (seconds, monotonic) and what Redis said, and takes away a decision. Promises P6 and P8.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from channel_layer.errors import WireError
from channel_layer.protocol.codec import unpack

RENEWAL_INTERVAL_S = 1.0


class OwnLease:
    """Our own ticket: since when has it been valid without a gap?"""

    __slots__ = ("_finished", "_started", "renewed_at", "ttl_s", "unbroken_since")

    def __init__(self, ttl_s: float) -> None:
        self.ttl_s = ttl_s
        self._started = self._finished = 0
        self.unbroken_since: float | None = None
        self.renewed_at: float | None = None

    def renewal_started(self) -> None:
        """A renewal begins. From any thread, but always the same one."""
        self._started += 1

    @property
    def renewal_pending(self) -> bool:
        """Is a renewal under way, or its answer not heard yet? It may have put a lease where there was none any more."""
        return self._started != self._finished

    def renewed(self, now: float, found: bool) -> bool:
        """A renewal was answered; `found`: the old lease was still there. True: others may have thought us dead."""
        self._finished += 1
        lapsed = not found and self.renewed_at is not None
        if not found or self.unbroken_since is None or now - (self.renewed_at or now) > self.ttl_s:
            self.unbroken_since = now
        self.renewed_at = now
        return lapsed

    def renewal_failed(self) -> None:
        """A renewal had no answer, or was refused."""
        self._finished += 1
        self.mark_interrupted()

    def mark_interrupted(self) -> None:
        """A renewal failed, or Redis has begun a new life: what happened to our ticket may have happened to everybody's."""
        self.unbroken_since = None

    def since_last_renewal_s(self, now: float) -> float:
        """How long ago the last renewal that worked was asked for."""
        return 0.0 if self.renewed_at is None else now - self.renewed_at

    def may_declare_dead(self, now: float) -> bool:
        """May we call others' leases expired? Only after a whole TTL of renewals that worked."""
        return (
            self.unbroken_since is not None
            and self.renewed_at is not None
            and now - self.renewed_at < self.ttl_s
            and now - self.unbroken_since >= self.ttl_s
        )


def readable(leases: Iterable[bytes | None]) -> Iterator[dict[str, Any]]:
    """What those that are there say. Nobody need trust it: it was written by others."""
    for lease in leases:
        try:
            facts = None if lease is None else unpack(lease)
        except WireError:
            continue
        if isinstance(facts, dict):
            yield facts
