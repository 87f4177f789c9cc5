"""Values that the parts of one dispatcher share."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from channel_layer.node import Node
from worker.connections.interfaces import ApplicationHost


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """The node, the host and the counters of one worker. The dispatcher makes it."""

    node: Node
    host: ApplicationHost
    counters: Counter[str]
    channels: tuple[str, ...]  #: shared channels whose messages this worker receives, instead of connections
    dead_letter: str = field(kw_only=True)
    """The shared channel for messages of these that failed; empty: there is none."""
    direct: bool = field(kw_only=True)  #: interface servers may send requests directly (`--direct-dispatch`)
    sticky: bool  #: the worker also reads channels of its own (`--sticky`)

    @property
    def is_alone(self) -> bool:
        """True if there is no other worker, to which this one could leave what waits in the shared channels."""
        return self.node.same_role_count <= 1
