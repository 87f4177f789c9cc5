"""The writers to the channels of single workers, for clients that are tied to one of them.

A worker's own channel is a shared channel that only this worker reads. Connections that wait there when it leaves or dies are queued
again on the channel that all others read. PROTOCOL.md, "Affinity".
"""

from __future__ import annotations

import asyncio
from typing import Any

from channel_layer.messaging.channel_writer import ChannelWriter
from channel_layer.node import Node
from channel_layer.protocol.keys import CHANNEL_OF_KIND
from interface_server.affinity.affinity import Affinity, Tie
from interface_server.affinity.sticky_workers import StickyWorkers


class WorkerChannels:
    """The writers of one interface server with `--sticky`. A worker is watched as long as it has a writer."""

    def __init__(self, node: Node, affinity: Affinity) -> None:
        self._node = node
        self._affinity = affinity
        self._workers = StickyWorkers()
        self._writers: dict[str, dict[str, ChannelWriter]] = {}  # by worker and kind
        self._time = asyncio.get_running_loop().time

    def writer(self, tie: Tie | None, kind: str) -> ChannelWriter | None:
        """The writer to the worker of this client; None: any worker may take it."""
        worker = None if tie is None else self._affinity.worker(tie, self._workers)
        return None if worker is None else self._writers_to(worker)[kind]

    def _writers_to(self, worker: str) -> dict[str, ChannelWriter]:
        writers = self._writers.get(worker)
        if writers is None:
            to = self._node.worker_channel_writer
            writers = {kind: to(channel, worker) for kind, channel in CHANNEL_OF_KIND.items()}
            self._writers[worker] = writers
            self._node.acquire_peer(worker)
        return writers

    def announced(self, worker: str) -> None:
        """Add a worker with a channel of its own that has started."""
        self._workers.announced(worker, self._time())

    def listed(self, leases: dict[str, dict[str, Any]]) -> None:
        """Update the workers from the leases of all processes, by their names."""
        takes = [worker for worker, facts in leases.items() if facts.get("own_channel") is True]
        self._workers.listed(takes, self._time())

    def left(self, worker: str) -> None:
        """Stop choosing a worker that takes nothing any more. It refuses the connections on its channel itself."""
        self._workers.left(worker)

    def died(self, worker: str) -> None:
        """Remove a dead worker and its writers: no process reads its channel any more."""
        self._workers.left(worker)
        writers = self._writers.pop(worker, None)
        if writers is not None:
            self._node.release_peer(worker)
            for writer in writers.values():
                writer.abandon()
