"""Writes the load of a worker into its lease, twice a second, and also while its event loop is blocked.

`towpath status` shows these figures, and other workers place connections by them.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from channel_layer.protocol.keys import CHANNEL_OF_KIND
from worker.connections.context import WorkerContext
from worker.connections.direct_requests import DirectRequests
from worker.connections.placement_watch import PlacementWatch
from worker.connections.queue_consumer import Admission, QueueConsumer
from worker.connections.registry import ConnectionRegistry
from worker.connections.shortage_log import ShortageLog

INTERVAL_S: Final = 0.5


class LoadReport:
    """The report of one worker. `start` it once. Placement and the log of shortages use the same figures in the same tick."""

    def __init__(
        self,
        context: WorkerContext,
        registry: ConnectionRegistry,
        consumer: QueueConsumer,
        placement: PlacementWatch,
        direct: DirectRequests,
    ) -> None:
        self._context = context
        self._registry = registry
        self._consumer = consumer
        self._placement = placement
        self._direct = direct
        self._shortage_log = ShortageLog(context.host)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Report now, and then every half second."""
        draining = self._consumer.admission is Admission.DRAINING
        self._placement.update(may_rebalance=not (draining or self._context.sticky))
        self._direct.update()
        self._context.node.read_peer_leases(self._placement.needs_leases or self._direct.needs_leases)
        self.send()
        self._shortage_log.check(self._loop.time())
        if self._context.is_alone:  # since its last peer has left, perhaps: what was left to that one waits
            self._consumer.read_more()
        self._timer = self._loop.call_later(INTERVAL_S, self.start)

    def stop(self) -> None:
        """Report no more."""
        if self._timer is not None:
            self._timer.cancel()

    def send(self) -> None:
        """Give the lease the figures of this moment."""
        context, admission, node = self._context, self._consumer.admission, self._context.node
        if context.channels:
            received = {"channels": " ".join(context.channels), "dead_letter": context.dead_letter or None}
            node.report({**received, "lag_ms": round(self._consumer.lag.seconds * 1000, 1)}, context.counters)
            return
        figures = {
            **self._held(),
            "draining": admission is Admission.DRAINING,
            "gives_way": node.yields_to_newer,
            "handing_over": self._placement.handing_over,
            "fellows": node.same_role_count,
            "free": dict.fromkeys(CHANNEL_OF_KIND, 0) if admission is Admission.PAUSED else self._free(),
            "lag_ms": round(self._consumer.lag.seconds * 1000, 1),
        }
        node.report(figures, context.counters, self._while_blocked)

    def _free(self) -> dict[str, int]:
        context = self._context
        return {kind: context.host.free(kind, context.is_alone) for kind in CHANNEL_OF_KIND}

    def _while_blocked(self, blocked_s: float) -> dict[str, Any]:
        """Figures that replace those from before the block: the worker takes nothing now, and lags by all of its length."""
        return {**self._held(), "free": dict.fromkeys(CHANNEL_OF_KIND, 0), "lag_ms": blocked_s * 1000}

    def _held(self) -> dict[str, int]:
        """Figures that any thread may read."""
        host = self._context.host
        return {
            "connections": len(self._registry.by_key),
            "websockets": host.websocket_count,
            "streams": host.stream_count,
            "adopted_total": self._consumer.adopted_count,
            "direct_total": self._direct.begun_count,
            "own_channel": self._context.sticky and self._consumer.admission is not Admission.DRAINING,
        }
