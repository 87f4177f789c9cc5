"""Delivery at least once: a message stays in Redis while a process works at it, and is removed when that is finished.

The process says again and again that it has the message. If it says nothing for the visibility timeout, since it is dead, cut off or
blocked, any other process that receives in this way gets the message. So work that was nearly finished may be done twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from channel_layer.application.message_reader import NEVER, Expiring, MessageReader
from channel_layer.application.receiving import receive
from channel_layer.errors import LayerUnavailable
from channel_layer.messaging.entry import Entry
from channel_layer.node import Node
from channel_layer.protocol.events import Event
from channel_layer.protocol.keys import GROUP
from channel_layer.redis.connection import Answer
from channel_layer.redis.scripts import CANCEL, HOLD_MESSAGES

log = logging.getLogger("towpath.layer")

#: A process says that it has its messages so many times in each visibility timeout, and at least every few seconds.
RENEWALS, RENEWAL_S_MAX = 4, 5.0
#: What a dead process had can be taken for so long after its visibility timeout: there may be no other at first.
TTL_MARGIN_MS = 86_400_000
#: How long `close` waits until Redis knows what was finished.
CLOSE_TIMEOUT_S, CLOSE_POLL_S = 2.0, 0.1


@dataclass(frozen=True, slots=True, eq=False)
class HeldMessage:
    """A message that this process works at."""

    entry_id: bytes
    size_bytes: int
    event: Event
    times_read: int  #: 1, or more if processes have died that had it, or were blocked


class HeldMessages:
    """The messages of one shared channel that this process receives at least once, on the loop of its node. Implements `Delivery`."""

    def __init__(self, node: Node, channel: str, counters: Counter[str], visibility_timeout_s: float) -> None:
        keys = node.context.keys
        self._node = node
        self._channel = channel
        self._keys = (keys.channel(channel), keys.channel_size(channel), keys.shared_channels)
        self._counters = counters
        self._interval_s = min(RENEWAL_S_MAX, visibility_timeout_s / RENEWALS)
        self.pending_ms = int(1000 * visibility_timeout_s)  #: see `Delivery`
        self._held: dict[bytes, HeldMessage] = {}
        self._finished: dict[bytes, HeldMessage] = {}  # Redis does not know yet
        self._reader = MessageReader(node, channel, self)
        self._renewing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect. Raises LayerUnavailable."""
        await self._reader.start()
        self._renewing = asyncio.get_running_loop().create_task(self._renew(), name=f"hold {self._channel}")

    async def next(self) -> HeldMessage:
        """Wait for the next message. May be cancelled at any moment."""
        held: HeldMessage = await receive(self._reader.queue, self._reader.on_waiting)
        return held

    def has(self, held: HeldMessage) -> bool:
        """True unless another process has got the message meanwhile."""
        return held.entry_id in self._held

    def finish(self, held: HeldMessage) -> None:
        """Remove a message, since its work is done. While Redis is away this process goes on trying."""
        had = self._held.pop(held.entry_id, None) is not None
        self._finished[held.entry_id] = held
        self._remove(held, first=had)

    async def close(self) -> None:
        """Stop receiving, and leave to other processes what is not finished: at once, if Redis can be reached."""
        if self._renewing is not None:
            self._renewing.cancel()
        not_begun = {held.entry_id for held, _ in await self._reader.close()}
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                for held in tuple(self._held.values()):
                    await self._release(held, held.times_read - (held.entry_id in not_begun))
                while self._finished:
                    self._remove_finished()
                    await asyncio.sleep(CLOSE_POLL_S)
        except (TimeoutError, LayerUnavailable) as error:
            log.warning(
                "messages of %s come again after the visibility timeout: %s", self._channel, error or "no answer"
            )

    async def _release(self, held: HeldMessage, times_read: int) -> None:
        """Let any process that receives have a message now. One that has it already loses it, as after a timeout."""
        terms = ("IDLE", self.pending_ms, "RETRYCOUNT", times_read, "JUSTID")
        await self._node.execute("XCLAIM", self._keys[0], GROUP, self._node.name, 0, held.entry_id, *terms)

    # -- Delivery

    def decide(self, entries: Sequence[Entry], on_decided: Callable[[list[Expiring]], None]) -> None:
        """See `Delivery`. After an outage this process may claim what it has: that is not for a receiver a second time."""

        def answered(answer: Answer) -> None:
            verdicts = answer if isinstance(answer, list) else [0] * len(entries)  # they are claimed again later
            self._counters["dropped.expired"] += verdicts.count(-1)
            messages = [
                HeldMessage(entry.entry_id, entry.size_bytes, entry.event, verdict)
                for entry, verdict in zip(entries, verdicts, strict=True)
                if verdict > 0 and entry.entry_id not in self._held and entry.entry_id not in self._finished
            ]
            self._held.update((held.entry_id, held) for held in messages)
            on_decided([(held, NEVER) for held in messages])

        self._hold([(entry.entry_id, entry.size_bytes, entry.deadline_ms) for entry in entries], answered)

    def _hold(self, entries: list[tuple[bytes, int, int]], answered: Callable[[Answer], None]) -> None:
        limits = (GROUP, self._node.name, self.pending_ms + TTL_MARGIN_MS, self._channel)
        self._node.run_script(
            HOLD_MESSAGES, answered, self._keys, *limits, *(part for entry in entries for part in entry)
        )

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            self._remove_finished()
            if held_now := list(self._held.values()):
                self._hold([(held.entry_id, held.size_bytes, 0) for held in held_now], self._renewed(held_now))

    def _renewed(self, messages: list[HeldMessage]) -> Callable[[Answer], None]:
        def answered(answer: Answer) -> None:
            for held, verdict in zip(messages, answer if isinstance(answer, list) else (), strict=False):
                if verdict == 0 and self._held.pop(held.entry_id, None) is not None:
                    self._taken_over()

        return answered

    def _taken_over(self) -> None:
        self._counters["background.taken_over"] += 1
        log.warning("another process has got a message of %s at which this one worked too", self._channel)

    def _remove_finished(self) -> None:
        for held in self._finished.values():
            self._remove(held)

    def _remove(self, held: HeldMessage, first: bool = False) -> None:
        """first: whether nothing of ours can have removed it already."""

        def answered(answer: Answer) -> None:
            if isinstance(answer, int):
                self._finished.pop(held.entry_id, None)
            if answer == 0 and first:
                self._taken_over()

        self._node.run_script(CANCEL, answered, self._keys[:2], GROUP, held.entry_id, held.size_bytes)
