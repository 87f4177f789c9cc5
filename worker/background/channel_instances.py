"""Runs application instances for shared channels: `scope = {"type": "channel", "channel": "thumbnails"}`.

A name may be a pattern (`email.*`): then each channel that matches and in which a message waits gets instances of its own, with its
own name in the scope. Source: Channels documentation, "Worker and Background Tasks".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from channel_layer.errors import LayerUnavailable
from channel_layer.process.rate_limited_log import RateLimitedLog
from worker.background.channel_names import ChannelNames
from worker.background.received_channel import ReceivedChannel

log = logging.getLogger("towpath.worker")

CHECK_INTERVAL_S = 0.05
#: An application that knows no such scope has ended by then; others wait for their first message.
FIRST_RECEIVE_TIMEOUT_S = 30.0
#: How often channels are looked for that match a pattern.
POLL_INTERVAL_S = 1.0
#: Each channel that is received from has a connection to Redis. Beyond so many that match, others wait until one has been idle.
MATCHED_MAX = 100
IDLE_S, CROWDED_IDLE_S = 30.0, 3.0

#: The shared channels in which messages wait, of those for which a test is true. Raises LayerUnavailable.
Waiting = Callable[[Callable[[str], bool]], Awaitable[list[str]]]


class ChannelInstances:
    """All instances of one worker for shared channels."""

    def __init__(self, make: Callable[[str], ReceivedChannel], names: ChannelNames, waiting: Waiting) -> None:
        """make: the instances for a channel. waiting: finds the channels that a pattern matches."""
        self._make = make
        self._names = names
        self._waiting = waiting
        self._fixed = [make(name) for name in names.fixed]
        self._matched: dict[str, ReceivedChannel] = {}
        self._tasks: set[asyncio.Task[None]] = set()  # the watch, and ends of channels
        self._crowded = RateLimitedLog()

    async def start(self, stop: asyncio.Event) -> None:
        """Start them, and return when all have asked for a message, or `stop` is set.

        Raises UnknownScope if the application ends without asking for a message. For a pattern that is found out, and logged, when a
        channel matches.
        """
        if self._names.has_patterns:
            self._run(self._watch())
        for channel in self._fixed:
            channel.start()
        asking = asyncio.gather(*(asked for channel in self._fixed for asked in channel.asking))
        stopped = asyncio.ensure_future(stop.wait())
        await asyncio.wait((asking, stopped), timeout=FIRST_RECEIVE_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not asking.done():
            asking.cancel()
            if not stop.is_set():
                log.warning("the application has not asked for a message within %.0f s", FIRST_RECEIVE_TIMEOUT_S)
            return
        asking.result()
        log.info("messages of %s are received", ", ".join(self._names.given))

    @property
    def busy_count(self) -> int:
        """How many instances have a message."""
        return sum(channel.busy_count for channel in self._channels)

    async def stop(self, timeout_s: float, now: asyncio.Event) -> None:
        """Let instances finish their messages, at most for `timeout_s` or until `now` is set; then end them."""
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_s
        for task in self._tasks:
            task.cancel()
        for channel in self._channels:
            channel.stop()
        while self.busy_count and loop.time() < end and not now.is_set():
            await asyncio.sleep(CHECK_INTERVAL_S)
        if cut := self.busy_count:
            log.warning("cutting off %d messages that were not finished", cut)
        await asyncio.gather(*(channel.end() for channel in self._channels))

    @property
    def _channels(self) -> list[ReceivedChannel]:
        return [*self._fixed, *self._matched.values()]

    async def _watch(self) -> None:
        """Receive from channels that match, from the moment at which a message waits there until they have been idle."""
        while True:
            try:
                self._follow(await self._waiting(self._names.matches))
            except LayerUnavailable:
                pass  # the connection says it
            await asyncio.sleep(POLL_INTERVAL_S)

    def _follow(self, waiting: list[str]) -> None:
        now = asyncio.get_running_loop().time()
        new = [name for name in waiting if name not in self._matched]
        idle_s = CROWDED_IDLE_S if len(self._matched) + len(new) > MATCHED_MAX else IDLE_S
        for name, channel in tuple(self._matched.items()):
            if name not in waiting and channel.idle_s(now) >= idle_s:
                channel.stop()
                self._run(self._matched.pop(name).end())
        free = MATCHED_MAX - len(self._matched)
        for name in new[:free]:
            self._matched[name] = channel = self._make(name)
            channel.start()
        if len(new) > free and self._crowded.count(now):
            log.warning(
                "%d more channels match than the %d that one worker receives from", len(new) - free, MATCHED_MAX
            )

    def _run(self, call: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(call)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
