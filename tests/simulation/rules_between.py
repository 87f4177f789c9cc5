"""Rules that lie between processes, and are kept by what Redis does or by what never happens: each with a way to switch it off.

Here the code without the rule is not less but other code: names that come again, a take that tells nobody, a claim that leaves out one's
own, a process that ends everything when its lease does.
"""

from __future__ import annotations

import asyncio
from typing import Any

from channel_layer import node as redis_node
from channel_layer.liveness.failure_detector import FailureDetector
from channel_layer.protocol import packets
from channel_layer.protocol.packets import AdoptionRefusal
from channel_layer.redis import scripts as redis_scripts
from channel_layer.redis.connection import Argument, OnAnswer, RedisConnection
from channel_layer.redis.scripts import Script
from tests.simulation.simulated_streams import Group, Id, Stream
from worker.connections.queue_consumer import ADOPTED, QueueConsumer

REFUSED = 2
FENCED_AFTER = 0.75  #: of a lease's time to live


def _name_of_a_place(role: str, _random_hex: str) -> str:
    """The first that none of the living has: a process that starts again is called as the one was whose place it takes."""
    loop: Any = asyncio.get_running_loop()
    living = {
        process.dispatcher.node.name
        for process in loop.process.network.processes
        if process.alive and process.dispatcher is not None
    }
    return next(name for number in range(len(living) + 1) if (name := f"{role}.{number}") not in living)


class _TakeThatTellsNobody(Script):
    """The take script without its last step."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("take")
        decided, step, _ = self.text.partition("for inbox, packets in pairs(parts)")
        assert step
        #: Faults that wait for a take know it by its digest.
        self.text = f"-- {self.digest}\n{decided}return {{ call('XLEN', stream), unpack(verdicts) }}"

    def call(self, connection: RedisConnection, on_answer: OnAnswer, key_count: int, *arguments: Argument) -> None:
        """Its digest is that of another script, so it always goes with the text."""
        connection.call(on_answer, "EVAL", self.text, key_count, *arguments)


def _tell_what_was_decided(self: QueueConsumer, entry: Any, verdict: int, window: int) -> None:
    """The worker says so itself, when it has begun."""
    _answered(self, entry, verdict, window)
    interface, number, epoch = entry.key
    if verdict == ADOPTED:
        self._node.post(interface, packets.adopted(number, epoch, 0 if entry.packet[8] else window))
    elif verdict == REFUSED:
        self._node.post(interface, packets.refused(number, epoch, int(AdoptionRefusal.LATE)))


_answered = QueueConsumer.answered


def _claim_of_others(
    self: Stream, group: Group, consumer: bytes, idle_ms: int, count: int, now_ms: int
) -> list[tuple[bytes, list[bytes]]]:
    own: dict[Id, tuple[bytes, int]] = {
        entry_id: pending for entry_id, pending in group.pending.items() if pending[0] == consumer
    }
    for entry_id in own:
        del group.pending[entry_id]
    found = _claim(self, group, consumer, idle_ms, count, now_ms)
    group.pending |= own
    return found


_claim = Stream.claim


async def _look_and_fence(self: FailureDetector) -> None:
    """Whoever may be thought dead holds nobody's connections any more."""
    await _look(self)
    loop: Any = self._loop
    if self._own_lease.since_last_renewal_s(loop.process.network.clock.now) > FENCED_AFTER * self._own_lease.ttl_s:
        for node in self.counts.watched():
            self.counts.process_death(node)
            self._on_dead(node)


_look = FailureDetector.check

BETWEEN: dict[str, list[tuple[Any, str, Any]]] = {
    "the name of a node is new at every start": [(redis_node, "node_name", _name_of_a_place)],
    "who takes is told by the take itself": [
        (redis_scripts, "TAKE", _TakeThatTellsNobody()),
        (QueueConsumer, "answered", _tell_what_was_decided),
    ],
    "a worker claims what it has read itself": [(Stream, "claim", _claim_of_others)],
    "nobody fences itself": [(FailureDetector, "check", _look_and_fence)],
}
