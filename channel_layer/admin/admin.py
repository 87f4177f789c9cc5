"""What one process shows on its admin port: metrics and health.

The listener is open before there is anything to show: a process that starts is alive and not ready.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from channel_layer.admin.exposition import Exposition
from channel_layer.admin.listener import AdminListener, Page
from channel_layer.admin.loop_delay import LoopDelay
from channel_layer.admin.metrics import CONNECTED, LOOP_DELAY, LOOP_LAG, READY, STOPPING

LIVE_PATH, READY_PATH, METRICS_PATH = "/-/health/live", "/-/health/ready", "/metrics"
LIVE = Page(200, b"live\n")
READY_PAGE = Page(200, b"ready\n")
NOT_READY_PAGE = Page(503, b"not ready\n")
FROZEN_PAGE = Page(503, b"the event loop is blocked\n")


class ObservedNode(Protocol):
    """The node of a process (channel_layer/node.py), as any thread may read it."""

    figures: Callable[[], dict[str, Any]]

    @property
    def connected(self) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedProcess:
    """A process, as any thread may read it."""

    node: ObservedNode
    ready: Callable[[], bool]
    stopping: Callable[[], bool]
    #: How long its loop may be blocked until it does not count as alive any more. Infinite: it ends by itself.
    blocked_s_max: float = math.inf
    #: Figures that its lease does not have. Each is a number that is replaced, a table of numbers with fixed keys, or a histogram.
    more: Mapping[str, Any] = field(default_factory=dict)


class Admin:
    """The admin port of one process."""

    def __init__(self, host: str, port: int) -> None:
        """Listen. Raises CannotListen."""
        self._process: ObservedProcess | None = None
        self._delay: LoopDelay | None = None
        exposition = Exposition(self.figures)
        pages = {
            METRICS_PATH: lambda accepted: Page(200, *exposition.text(accepted)),
            LIVE_PATH: lambda _: self._live(),
            READY_PATH: lambda _: READY_PAGE if self._is_ready() else NOT_READY_PAGE,
        }
        self._listener = AdminListener(host, port, pages)
        self._listener.start()

    def observe(self, process: ObservedProcess) -> None:
        """Show this process from now on. Called by the thread of its loop."""
        self._process = process
        self._delay = LoopDelay(asyncio.get_running_loop())
        self._delay.start()

    def close(self) -> None:
        """Show nothing any more."""
        if self._delay is not None:
            self._delay.stop()
        self._listener.close()

    def figures(self) -> Mapping[str, Any]:
        """All figures of this moment."""
        process, delay = self._process, self._delay
        if process is None or delay is None:
            return {READY: False}
        return {
            **process.node.figures(),
            **process.more,
            READY: process.ready(),
            STOPPING: process.stopping(),
            CONNECTED: process.node.connected,
            LOOP_LAG: delay.lag_s(),
            LOOP_DELAY: delay.histogram,
        }

    def _is_ready(self) -> bool:
        return self._process is not None and self._process.ready()

    def _live(self) -> Page:
        process, delay = self._process, self._delay
        blocked = process is not None and delay is not None and delay.lag_s() > process.blocked_s_max
        return FROZEN_PAGE if blocked else LIVE
