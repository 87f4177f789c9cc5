"""The connections that one worker owns, and their packets of this turn of the event loop."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from channel_layer.errors import InvalidMessage
from channel_layer.node import Node
from channel_layer.protocol.flow_control import Budget
from channel_layer.protocol.keys import CHANNEL_OF_KIND
from worker.connections.adoption import Key
from worker.connections.downstream import DownstreamConnection
from worker.connections.interfaces import Instance

log: Final = logging.getLogger("towpath.worker")

AT_ONCE: Final = 50  #: hand-offs, or ends of event streams, in one call of `ask_some`


class ConnectionRegistry:
    """All connections that one worker owns, by key: their budget, and the `Registry` that each of them uses."""

    __slots__ = ("_node", "_pending", "budget", "by_key", "counters", "post", "post_long", "reserved")

    def __init__(self, node: Node, counters: Counter[str]) -> None:
        """counters: those of the process."""
        self._node = node
        self.counters = counters
        self.post, self.post_long = node.post, node.post_long  #: one packet for an interface server
        self.budget = Budget(node.context.settings.buffer_budget_bytes, node.context.settings.window_size_bytes_min)
        self.by_key: dict[Key, DownstreamConnection] = {}
        #: How many connections of each kind are being adopted: they are here as soon as Redis has answered.
        self.reserved = dict.fromkeys(CHANNEL_OF_KIND, 0)
        self._pending: list[DownstreamConnection] = []

    def adopt(self, key: Key, packet: list[Any], window: int) -> DownstreamConnection:
        """Own one more connection. packet: its `open`; window: granted to its client by the budget."""
        self.by_key[key] = downstream = DownstreamConnection(self, key, packet, window)
        self._node.acquire_peer(key[0])
        return downstream

    def gather(self, downstream: DownstreamConnection) -> None:
        """See `Registry.gather`."""
        if not self._pending:
            self._node.before_flush(self.flush)
        self._pending.append(downstream)

    def remove(self, downstream: DownstreamConnection) -> None:
        """See `Registry.remove`."""
        if self.by_key.pop(downstream.key, None) is not None:
            self.budget.granted_bytes -= downstream.incoming.window  # `give_back`, without a call for each request
            self._node.release_peer(downstream.key[0])

    def flush(self) -> None:
        """Post what connections have gathered in this turn of the loop."""
        pending, self._pending = self._pending, []
        for downstream in pending:
            try:
                if downstream.pending:  # else it was complete, and is flushed already
                    downstream.flush()
            except (MemoryError, InvalidMessage):  # the packets of other connections are still sent
                log.exception("an internal error: packets for %s cannot be packed", downstream.key[0])
                downstream.abort()

    def ask_some(self, ask: Callable[[Instance], bool], most: int = AT_ONCE) -> int:
        """Ask instances to leave, at most `most` of them, so that other workers are not flooded.

        Returns the number that agreed. Others (no accept so far, a response that has not begun) may be asked again.
        """
        agreed = 0
        for downstream in list(self.by_key.values()):
            if agreed == most:
                break
            if downstream.open and downstream.instance is not None and ask(downstream.instance):
                agreed += 1
        return agreed
