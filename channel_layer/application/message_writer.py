"""Sends messages to one shared channel: one script call is under way, and what comes meanwhile leaves together.

Nothing is sent twice: a call without an answer has an unknown outcome, and its senders get LayerUnavailable. They get NothingSent if Redis
has refused the call as a whole.
"""

from __future__ import annotations

import asyncio
import logging

from channel_layer.application.capacities import LayerSettings
from channel_layer.application.shared_commands import send_terms
from channel_layer.errors import ChannelFull, ChannelLayerError, LayerUnavailable
from channel_layer.node import Node
from channel_layer.process.rejection_log import RejectionLog
from channel_layer.protocol import packets
from channel_layer.protocol.codec import batch_head, join_batch, pack, packets_of_one_batch
from channel_layer.protocol.events import Event
from channel_layer.redis import scripts as redis_scripts
from channel_layer.redis.connection import Answer
from channel_layer.redis.rejection_reasons import script_error

log = logging.getLogger("towpath.layer")

_Sending = tuple[bytes, asyncio.Future[None]]


class MessageWriter:
    """The messages that one process sends to one shared channel, on the loop of its node."""

    def __init__(self, node: Node, channel: str, capacity: int, settings: LayerSettings) -> None:
        self._node = node
        self._channel = channel
        self._expiry_ms = settings.expiry_ms
        size_bytes_max = node.context.settings.queue_size_bytes_max
        self._terms = send_terms(node.context.keys, channel, capacity, size_bytes_max, settings.expiry_ms)
        self._head = batch_head(node.name)
        self._encryption = node.context.encryption if node.context.encryption.enabled else None
        self._waiting: list[_Sending] = []
        self._under_way = False
        self._rejections = RejectionLog(log, f"messages to {channel}")
        self._loop = asyncio.get_running_loop()

    @property
    def idle(self) -> bool:
        """True if nothing waits or is under way."""
        return not self._waiting and not self._under_way

    def send(self, event: Event) -> asyncio.Future[None]:
        """Send one message. The future is done when Redis has it; it fails with ChannelFull or LayerUnavailable."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append((pack(packets.message("", event, self._expiry_ms)), future))
        if not self._under_way:
            self._under_way = True
            self._loop.call_soon(self._flush)
        return future

    def _flush(self) -> None:
        self._waiting = [
            sending for sending in self._waiting if not sending[1].done()
        ]  # without those that were cancelled
        count = packets_of_one_batch([packed for packed, _ in self._waiting])
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        if not batch:
            self._under_way = False
            return

        def answered(answer: Answer) -> None:
            self._answered(batch, answer)

        entries = [join_batch(self._head, [packed]) for packed, _ in batch]
        if self._encryption is not None:
            entries = [self._encryption.entry(self._terms.keys[0], entry) for entry in entries]
        self._node.run_script(redis_scripts.SEND, answered, self._terms.keys, *self._terms.limits, *entries)

    def _answered(self, batch: list[_Sending], answer: Answer) -> None:
        outcomes: list[ChannelLayerError | None]
        if isinstance(answer, list):
            if self._rejections.count:
                self._rejections.accepted()
            outcomes = [None if added else ChannelFull(self._terms.full) for added in answer]
        else:
            if not isinstance(answer, LayerUnavailable):
                self._rejections.rejected(answer)
            outcomes = [script_error(answer)(f"{self._channel}: {answer}") for _ in batch]
        for (_, future), outcome in zip(batch, outcomes, strict=True):
            if future.done():
                continue
            if outcome is None:
                future.set_result(None)
            else:
                future.set_exception(outcome)
        if self._waiting:
            self._loop.call_soon(self._flush)
        else:
            self._under_way = False
