"""One worker's part in spreading WebSockets over all workers: when it defers, and what it hands over.

placement.py and rebalancing.py decide. This file gives them the figures, twice a second, and asks WebSockets to leave.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from worker.connections.context import WorkerContext
from worker.connections.registry import ConnectionRegistry
from worker.placement.placement import Placement
from worker.placement.rebalancing import Rebalancing

log: Final = logging.getLogger("towpath.worker")


class PlacementWatch:
    """The placement of one worker's WebSockets."""

    def __init__(self, context: WorkerContext, registry: ConnectionRegistry, rebalance_per_s: int) -> None:
        """rebalance_per_s: how many WebSockets are handed over in a second to level the fleet; 0: none without a request."""
        self._node = context.node
        self._host = context.host
        self._registry = registry
        self._loop = asyncio.get_running_loop()
        self._placement = Placement()
        self._rebalancing = Rebalancing(rebalance_per_s)
        self._node.read_peer_leases(True)
        self.needs_leases = True  #: whether the leases of others are worth reading

    @property
    def handing_over(self) -> int:
        """How many WebSockets are still to be handed over to level the fleet."""
        return self._rebalancing.left

    def request_rebalancing(self) -> None:
        """Level the fleet as soon as the figures of the others are known. It is requested again as long as it is wanted."""
        self._rebalancing.request(self._loop.time())

    def _own(self) -> int:
        return self._host.websocket_count + self._registry.reserved["websocket"]

    def defer_s(self) -> float:
        """How long this worker defers to others, for each entry that waits."""
        return self._placement.defer_s(self._own(), self._node.yields_to_newer)

    def count(self, wanted: int) -> int:
        """The number of entries to read now, of the `wanted`."""
        return self._placement.count(self._own(), wanted)

    def update(self, may_rebalance: bool) -> None:
        """Read the figures of other workers. may_rebalance: WebSockets may be handed over to workers that have fewer."""
        own, now = self._own(), self._loop.time()
        self._placement.update(own, self._node.peer_leases.values(), now)
        self.needs_leases = self._placement.needs_leases(own, now)
        calm = may_rebalance and self._placement.calm and not self._node.yields_to_newer
        before = self._rebalancing.left
        due = self._rebalancing.due(self._placement.surplus(own), self._node.same_role_count, calm, now)
        if due:
            count = self._registry.ask_some(lambda instance: instance.hand_off(), due)
            if count and not before:
                log.info("handing over %d WebSockets to workers that have fewer", self._rebalancing.left)
            self._rebalancing.handed_over(due, count, now)
