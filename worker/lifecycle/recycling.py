"""Decides when a worker is recycled: after so many connections, seconds, or so much memory.

Workers that were started together must not leave together. So the limit of connections is drawn at random from a range that the
operator sets (as in uvicorn and gunicorn), and the age from the last tenth before its limit. The consequences are decided elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

from channel_layer.settings import MEBIBYTE
from worker.settings import WorkerSettings

AGE_SPREAD = 0.1


@dataclass(frozen=True, slots=True)
class Recycling:
    """The limits of one worker. 0 means no limit."""

    connections: int = 0
    age_s: float = 0.0
    rss_bytes: int = 0

    @classmethod
    def drawn(cls, settings: WorkerSettings, chance: float) -> Recycling:
        """This worker's own limits. chance: from 0 up to, not including, 1."""
        connections = settings.requests_max and settings.requests_max + int(chance * (settings.requests_jitter + 1))
        return cls(connections, settings.age_s_max * (1 - chance * AGE_SPREAD), settings.rss_bytes_max)

    @property
    def limited(self) -> bool:
        """True if there is any limit."""
        return bool(self.connections or self.age_s or self.rss_bytes)

    def over(self, connections: int, age_s: float, rss_bytes: int) -> str:
        """The limit that has been reached, as a text; empty while there is none."""
        if 0 < self.connections <= connections:
            return f"{connections} connections were served (--limit-max-requests)"
        if 0 < self.age_s <= age_s:
            return f"{age_s:.0f} s old (--max-worker-age)"
        if 0 < self.rss_bytes <= rss_bytes:
            return f"{rss_bytes // MEBIBYTE} MiB of memory (--max-worker-rss)"
        return ""
