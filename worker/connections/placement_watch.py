"""One worker's part in how WebSockets are spread over all workers: what it leaves to others, and what it hands over to them.

placement.py and rebalancing.py decide; here they are told what there is, twice a second, and the sockets are asked to go.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from channel_layer.node import Node
from worker.connections.adoption import Key
from worker.connections.downstream import DownstreamConnection
from worker.connections.hand_over import ask_some
from worker.connections.interfaces import ApplicationHost
from worker.connections.placement import Placement
from worker.connections.rebalancing import Rebalancing

log = logging.getLogger("towpath.worker")


class PlacementWatch:
    """Of one pump. reserved: how many connections of each kind it is taking; lines: those that it has."""

    def __init__(
        self,
        node: Node,
        room: ApplicationHost,
        reserved: Mapping[str, int],
        downstreams: Mapping[Key, DownstreamConnection],
    ) -> None:
        self._node = node
        self._room = room
        self._reserved = reserved
        self._downstreams = downstreams
        self._loop = asyncio.get_running_loop()
        self._placement = Placement()
        self._levelling = Rebalancing()
        node.peers.asks_others = True

    def _own(self) -> int:
        return self._room.websockets + self._reserved["websocket"]

    def leaves_s(self) -> float:
        """How long what comes is left to others."""
        return self._placement.leaves_s(self._own(), self._node.channels.gives_way)

    def count(self, wanted: int) -> int:
        """How many of the `wanted` to read now."""
        return self._placement.count(self._own(), wanted)

    def look(self, may_level: bool) -> None:
        """Look at what the others hold. may_level: sockets may be handed over, so that others have more."""
        own, now, peers = self._own(), self._loop.time(), self._node.peers
        self._placement.look(own, peers.other_leases.values(), now)
        peers.asks_others = self._placement.asks(own, now)
        calm = may_level and self._placement.calm and not self._node.channels.gives_way
        before = self._levelling.left
        due = self._levelling.due(self._placement.surplus(own), peers.fellows, calm, now)
        if due:
            count = ask_some(list(self._downstreams.values()), lambda instance: instance.hand_off(), due)
            if count and not before:
                log.info("handing over %d WebSockets to workers that have fewer", self._levelling.left)
            self._levelling.handed_over(due, count, now)
