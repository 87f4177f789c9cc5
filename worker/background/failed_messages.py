"""Messages that an application could not process: received again some times, then set aside in a dead-letter channel."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter

from channel_layer.application.capacities import LayerSettings
from channel_layer.application.shared_commands import NEVER_FULL
from channel_layer.errors import ChannelLayerError, LayerUnavailable, NothingSent
from channel_layer.layer import ChannelLayer
from channel_layer.protocol.events import Event

log = logging.getLogger("towpath.worker")

REDIS_RETRY_S = 1.0
#: Keys that a message gets: how many times it is received, this one included; and in a dead-letter channel its channel and the error.
ATTEMPT, CHANNEL, ERROR = "towpath.attempt", "towpath.channel", "towpath.error"
ERROR_CHARS_MAX = 1_000
#: A dead letter waits for a person: for a week, with 10 000 others.
DEAD_LETTER_SETTINGS = LayerSettings(capacity=10_000, expiry_s=7 * 86_400.0)


def attempt_of(message: Event) -> int:
    """How many times a message is sent to its channel, this one included. Any sender may write anything there."""
    attempt = message.get(ATTEMPT)
    return attempt if type(attempt) is int and attempt > 0 else 1


class FailedMessages:
    """What becomes of messages at which the application raises."""

    def __init__(
        self, layer: ChannelLayer, counters: Counter[str], retries: int, dead_letter: str, at_least_once: bool
    ) -> None:
        """retries: how often one is received again. dead_letter: the shared channel for it after the last time; empty: none.

        at_least_once: a message that may have been sent on is sent once more.
        """
        self.layer = layer
        self.counters = counters
        self._retries = retries
        self._dead_letter = dead_letter
        self._sent_again_at = LayerUnavailable if at_least_once else NothingSent
        self._for_retries = ChannelLayer(
            layer.home, LayerSettings(capacity=NEVER_FULL, expiry_s=layer.settings.expiry_s)
        )  # it was in the channel before
        self._for_dead_letters = ChannelLayer(layer.home, DEAD_LETTER_SETTINGS)

    async def handle(self, channel: str, message: Event, error: BaseException) -> None:
        """Send a message on: to the end of its channel, or to the dead-letter channel. Waits for Redis if that is away.

        A message that is refused (the dead-letter channel is full) is counted and logged, and lost.
        """
        attempt = attempt_of(message)
        if attempt <= self._retries:
            if await self._is_sent(self._for_retries, channel, {**message, ATTEMPT: attempt + 1}):
                self.counters["background.retried"] += 1
        else:
            await self.set_aside(channel, message, error)

    async def set_aside(self, channel: str, message: Event, error: BaseException) -> None:
        """Send a message to the dead-letter channel, if there is one."""
        if self._dead_letter:
            letter = {name: value for name, value in message.items() if name != ATTEMPT}
            why = f"{type(error).__name__}: {error}"[:ERROR_CHARS_MAX]
            if await self._is_sent(self._for_dead_letters, self._dead_letter, {**letter, CHANNEL: channel, ERROR: why}):
                self.counters["background.dead_lettered"] += 1

    async def _is_sent(self, layer: ChannelLayer, target: str, message: Event) -> bool:
        while True:
            try:
                await layer.send(target, message)
            except self._sent_again_at:
                await asyncio.sleep(REDIS_RETRY_S)
            except ChannelLayerError as error:
                self.counters["background.lost"] += 1
                log.error("a message that had failed could not be sent to %s: %s", target, error)
                return False
            else:
                return True
