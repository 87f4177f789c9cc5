"""Logs that requests are refused: at the beginning, each minute, and at the end, with figures. The access log has a line for each of them.

Two conditions: requests that nothing serves (503, and 502 in an outage of Redis), and requests that are not well-formed, or too slow or
too large. Both are read from the counters, once a second. No I/O but the lines.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Final

from channel_layer.process.lasting_condition import LastingCondition, News
from interface_server.connections.interfaces import EndReason

log: Final = logging.getLogger("towpath.interface")

UNSERVED: Final = frozenset(
    [f"ended.{reason.name.lower()}" for reason in EndReason if reason.status == 503]
    + ["ended.outage", "refused.limit_concurrency", "refused.websocket_503"]
)
#: Not the request's fault, or the application's own decision.
NOT_INVALID: Final = UNSERVED | {"refused.response_timeout", "refused.no_descriptor"}
INVALID_AFTER_S: Final = 3.0  #: a scanner's few requests are no news
ENDS_AFTER_S: Final = 10.0  #: one refusal every few seconds is one condition, and not two lines for each


def is_unserved(counter: str) -> bool:
    """True if it counts requests that no worker has served."""
    return counter in UNSERVED


def is_invalid(counter: str) -> bool:
    """True if it counts requests whose clients are to blame."""
    by_status = counter.startswith("refused.websocket_") and counter[-3:].isdigit()
    return counter.startswith("refused.") and counter not in NOT_INVALID and not by_status


class RefusalLog:
    """The log of one condition of one interface server."""

    def __init__(
        self, counters: Mapping[str, int], what: str, belongs: Callable[[str], bool], begins_after_s: float
    ) -> None:
        """what: the sentence. belongs: chooses the counters by their names."""
        self._counters, self._what, self._belongs = counters, what, belongs
        self._condition = LastingCondition(begins_after_s, ENDS_AFTER_S)
        self._holds = False
        self._before = self._counts()
        self._last = sum(self._before.values())

    def check(self, now: float) -> None:
        """now: monotonic seconds."""
        counts = self._counts()
        total = sum(counts.values())
        rises, self._last = total > self._last, total
        news = self._condition.observe(rises, now)
        if news is None:
            if not (rises or self._holds):
                self._before = counts
            return
        self._holds = news is not News.ENDED
        lasted_s = self._condition.lasted_s(now)
        match news:
            case News.BEGAN:
                log.warning("%s: %s", self._what, self._figures(counts))
            case News.LASTS:
                log.warning("%s, for %.0f s by now: %s", self._what, lasted_s, self._figures(counts))
            case News.ENDED:
                log.warning("%s: no more, after %.0f s; %s", self._what, lasted_s, self._figures(counts))
                self._before = counts

    def _counts(self) -> dict[str, int]:
        return {name: count for name, count in self._counters.items() if self._belongs(name)}

    def _figures(self, counts: Mapping[str, int]) -> str:
        """`12 (ended.full 10, ended.late 2)`: since the beginning, the most frequent first."""
        risen = {name: count - self._before.get(name, 0) for name, count in counts.items()}
        names = sorted((name for name in risen if risen[name]), key=lambda name: (-risen[name], name))
        return f"{sum(risen.values())} ({', '.join(f'{name} {risen[name]}' for name in names)})"


def refusal_logs(counters: Mapping[str, int]) -> tuple[RefusalLog, RefusalLog]:
    """The logs of an interface server with these counters."""
    return (
        RefusalLog(counters, "requests are answered 503", is_unserved, 0.0),
        RefusalLog(counters, "requests are refused as invalid, too slow or too large", is_invalid, INVALID_AFTER_S),
    )
