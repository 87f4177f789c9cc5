"""Runs application instances for shared channels: `scope = {"type": "channel", "channel": "thumbnails"}`, one message after the other.

An instance that asks for its next message has finished the last one. So a worker that stops lets each instance finish what it has, and
cancels it in the `receive()` after that. A message goes to one instance, at most once, unless it
failed and the operator wants it repeated.
Source: Channels documentation, "Worker and Background Tasks".
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable

from channel_layer.application.capacities import LayerSettings
from channel_layer.errors import ChannelLayerError, LayerUnavailable, NothingSent
from channel_layer.layer import ChannelLayer
from channel_layer.protocol.events import Event
from worker.application.fork_guard import end_child
from worker.asgi.host import AsgiHost
from worker.asgi.instance import clear_frames
from worker.errors import UnknownScope, WrongOrder

log = logging.getLogger("towpath.worker")

CHECK_INTERVAL_S = 0.05
#: Between an instance that has failed before it received anything and the next one.
RESTART_S_MIN, RESTART_S_MAX = 0.5, 30.0
REDIS_RETRY_S = 1.0
#: An application that knows no such scope has ended by then; others wait for their first message.
FIRST_RECEIVE_TIMEOUT_S = 30.0
#: Keys that a message gets: how many times it is received, this one included; and in a dead-letter channel its channel and the error.
ATTEMPT, CHANNEL, ERROR = "towpath.attempt", "towpath.channel", "towpath.error"
ERROR_CHARS_MAX = 1_000
NEVER_FULL = 2**31
#: A dead letter waits for a person: for a week, with 10 000 others.
DEAD_LETTER_SETTINGS = LayerSettings(capacity=10_000, expiry_s=7 * 86_400.0)


class FailedMessages:
    """What becomes of messages at which the application raises."""

    def __init__(self, layer: ChannelLayer, counters: Counter[str], retries: int, dead_letter: str) -> None:
        """retries: how often one is received again. dead_letter: the shared channel for it after the last time; empty: none."""
        self.layer = layer
        self.counters = counters
        self._retries = retries
        self._dead_letter = dead_letter
        self._for_retries = ChannelLayer(layer.home, LayerSettings(capacity=NEVER_FULL))  # it was in the channel before
        self._for_dead_letters = ChannelLayer(layer.home, DEAD_LETTER_SETTINGS)

    async def handle(self, channel: str, message: Event, error: BaseException) -> None:
        """Send a message on: to the end of its channel, or to the dead-letter channel. Waits for Redis if that is away.

        A message that is refused (the dead-letter channel is full) is counted and logged, and lost.
        """
        attempt = message.get(ATTEMPT)
        attempt = attempt if type(attempt) is int and attempt > 0 else 1  # any sender may write anything there
        if attempt <= self._retries:
            if await self._is_sent(self._for_retries, channel, {**message, ATTEMPT: attempt + 1}):
                self.counters["background.retried"] += 1
        elif self._dead_letter:
            letter = {name: value for name, value in message.items() if name != ATTEMPT}
            why = f"{type(error).__name__}: {error}"[:ERROR_CHARS_MAX]
            if await self._is_sent(self._for_dead_letters, self._dead_letter, {**letter, CHANNEL: channel, ERROR: why}):
                self.counters["background.dead_lettered"] += 1

    async def _is_sent(self, layer: ChannelLayer, target: str, message: Event) -> bool:
        while True:
            try:
                await layer.send(target, message)
            except NothingSent:
                await asyncio.sleep(REDIS_RETRY_S)
            except ChannelLayerError as error:
                self.counters["background.lost"] += 1
                log.error("a message that had failed could not be sent to %s: %s", target, error)
                return False
            else:
                return True


class ChannelInstance:
    """One place for messages of one channel: an application instance, and the next one when that has ended."""

    def __init__(self, host: AsgiHost, channel: str, failed: FailedMessages) -> None:
        self._host = host
        self._layer = failed.layer
        self._channel = channel
        self._counters = failed.counters
        self._failed_messages = failed
        self._message: Event | None = None
        self._received_count = 0
        self._stopping = False
        self._ending = False  # it is cancelled by us
        self.asking: asyncio.Future[None] = (
            asyncio.get_running_loop().create_future()
        )  #: done when the first has called receive()
        self.task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """True if the instance has a message and has not asked for the next."""
        return self._message is not None

    def start(self) -> None:
        """Start the first application instance."""
        self.task = asyncio.get_running_loop().create_task(self._run(), name=f"channel {self._channel}")

    def stop(self) -> None:
        """Let the instance finish its message and end then."""
        self._stopping = True
        if not self.busy:
            self.cancel()

    def cancel(self) -> None:
        """End the instance now."""
        self._ending = True
        if self.task is not None:
            self.task.cancel()

    async def _run(self) -> None:
        delay_s = RESTART_S_MIN
        while not self._stopping:
            before = self._received_count
            await self._run_application()
            if self._received_count > before:
                delay_s = RESTART_S_MIN
                continue
            await asyncio.sleep(delay_s)
            delay_s = min(RESTART_S_MAX, 2 * delay_s)

    async def _run_application(self) -> None:
        try:
            await self._host.run_channel(self._channel, self._receive, self._send)
        except BaseException as error:
            if self._ending and isinstance(error, asyncio.CancelledError):
                raise
            end_child(error)
            await self._failed(error)
            clear_frames(error)
        finally:
            self._message = None

    async def _failed(self, error: BaseException) -> None:
        if not self.asking.done():
            self.asking.set_exception(error)
            return
        self._counters["background.failed"] += 1
        log.error("the application failed at a message of %s", self._channel, exc_info=error)
        if self._message is not None:
            await self._failed_messages.handle(self._channel, self._message, error)

    async def _receive(self) -> Event:
        self._message = None
        if not self.asking.done():
            self.asking.set_result(None)
        if self._stopping:
            self.cancel()
            await asyncio.get_running_loop().create_future()  # for the cancellation: no other message is taken
        self._message = await self._next()
        self._received_count += 1
        self._counters["background.received"] += 1
        return dict(self._message)  # what the application changes does not change what is sent on

    async def _next(self) -> Event:
        while True:
            try:
                return await self._layer.receive(self._channel)
            except LayerUnavailable:  # a reader that has begun goes on by itself; this one could not begin
                await asyncio.sleep(REDIS_RETRY_S)

    async def _send(self, event: Event) -> None:
        raise WrongOrder(f"an instance for the channel {self._channel} has no client to send to; use the channel layer")


class ChannelInstances:
    """All instances of one worker for shared channels."""

    def __init__(self, make: Callable[[str], ChannelInstance], channels: tuple[str, ...], concurrency: int) -> None:
        """make: an instance for a channel. concurrency: how many messages of each channel are processed at once."""
        self._instances = [make(channel) for channel in channels for _ in range(concurrency)]
        self._channels = channels

    async def start(self, stop: asyncio.Event) -> None:
        """Start them, and return when all have asked for a message, or `stop` is set.

        Raises UnknownScope if the application ends without asking for a message.
        """
        for instance in self._instances:
            instance.start()
        asking = asyncio.gather(*(instance.asking for instance in self._instances))
        stopped = asyncio.ensure_future(stop.wait())
        await asyncio.wait((asking, stopped), timeout=FIRST_RECEIVE_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not asking.done():
            asking.cancel()
            if not stop.is_set():
                log.warning("the application has not asked for a message within %.0f s", FIRST_RECEIVE_TIMEOUT_S)
            return
        if (error := asking.exception()) is not None:
            raise UnknownScope(
                f'the application cannot run for a channel: given a scope of type "channel" it raised {type(error).__name__}: {error}'
            ) from error
        log.info("messages of %s are received", ", ".join(self._channels))

    @property
    def busy_count(self) -> int:
        """How many instances have a message."""
        return sum(instance.busy for instance in self._instances)

    async def stop(self, timeout_s: float, now: asyncio.Event) -> None:
        """Let instances finish their messages, at most for `timeout_s` or until `now` is set; then end them."""
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_s
        for instance in self._instances:
            instance.stop()
        while self.busy_count and loop.time() < end and not now.is_set():
            await asyncio.sleep(CHECK_INTERVAL_S)
        if cut := self.busy_count:
            log.warning("cutting off %d messages that were not finished", cut)
        tasks = [instance.task for instance in self._instances if instance.task is not None]
        for instance in self._instances:
            instance.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=timeout_s)
