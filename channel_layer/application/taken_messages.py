"""Delivery at most once: Redis removes a message when one process takes it, and drops it if it waited too long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from channel_layer.application.message_reader import Expiring
from channel_layer.application.receiving import clock
from channel_layer.errors import LayerUnavailable
from channel_layer.messaging.channel_reader import PENDING_MS
from channel_layer.messaging.entry import Entry
from channel_layer.node import Node
from channel_layer.protocol.keys import GROUP
from channel_layer.redis.connection import Answer
from channel_layer.redis.scripts import TAKE_MESSAGES


class TakenMessages:
    """The way in which the messages of one shared channel are taken. Implements `Delivery`."""

    pending_ms = PENDING_MS

    def __init__(self, node: Node, channel: str, counters: Counter[str]) -> None:
        keys = node.context.keys
        self._keys = (keys.channel(channel), keys.channel_size(channel))
        self._node = node
        self._counters = counters

    def decide(self, entries: Sequence[Entry], on_decided: Callable[[list[Expiring]], None]) -> None:
        """See `Delivery`."""

        def answered(answer: Answer) -> None:
            on_decided(self._taken(entries, answer))

        arguments = [part for entry in entries for part in (entry.entry_id, entry.size_bytes, entry.deadline_ms)]
        self._node.run_script(TAKE_MESSAGES, answered, self._keys, GROUP, *arguments)

    def _taken(self, entries: Sequence[Entry], answer: Answer) -> list[Expiring]:
        if isinstance(answer, LayerUnavailable) and not answer.known:
            self._counters["dropped.outcome_unknown"] += len(entries)  # some may have been removed, and are lost
        verdicts = answer if isinstance(answer, list) else [0] * len(entries)
        self._counters["dropped.expired"] += verdicts.count(-1)
        now = clock()
        return [
            (entry.event, now + rest_ms / 1000) for entry, rest_ms in zip(entries, verdicts, strict=True) if rest_ms > 0
        ]
