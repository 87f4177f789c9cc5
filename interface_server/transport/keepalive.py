"""TCP keepalive settings: how soon the kernel gives up a client that no longer answers.

A client that disappears without closing (a phone in a tunnel, a closed laptop, a firewall that drops its state) leaves a connection that
looks exactly like a quiet one. An event stream or a long poll would stay open for ever.

* While bytes wait for the client, it must acknowledge some within `unacknowledged_s`. That is slightly longer than our own write timeout
  (write_timeout.py), so that a client that is there but takes nothing is found by us, and is counted as what it is.
* While nothing waits, the kernel probes the client after `idle_s`, and again each `interval_s`. No application sees these probes.

WebSockets have pings, and requests that wait for their next byte have deadlines. These settings cover connections that have neither.

No I/O here. Sources: RFC 9293, section 3.8.4; RFC 5482; tcp(7), TCP_USER_TIMEOUT.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import Final

#: Errors of a connection that the kernel has given up by itself.
ERRNOS: Final = frozenset({errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH})

LATER_THAN_WRITE_TIMEOUT_S: Final = 5.0
WRITE_TIMEOUT_S_MAX: Final = 60_000.0  #: larger values would exceed the kernel's limits


@dataclass(frozen=True, slots=True)
class KeepaliveSettings:
    """Keepalive settings in the kernel's units: probes in whole seconds."""

    idle_s: int
    interval_s: int
    unacknowledged_s: float

    @classmethod
    def beside(cls, write_timeout_s: float) -> KeepaliveSettings:
        """Settings that match a write timeout: the kernel gives up a silent client a few seconds after that."""
        write_timeout_s = min(write_timeout_s, WRITE_TIMEOUT_S_MAX)
        return cls(
            idle_s=max(1, int(write_timeout_s / 2)),
            interval_s=max(1, int(write_timeout_s / 6)),
            unacknowledged_s=write_timeout_s + LATER_THAN_WRITE_TIMEOUT_S,
        )
