"""Runs application instances for one place of a channel, one after the other.

An instance that asks for its next message has finished the last one. So a worker that stops lets each instance finish what it has, and
cancels it in the `receive()` after that.
"""

from __future__ import annotations

import asyncio
import logging
from enum import IntEnum

from channel_layer.protocol.events import Event
from worker.application.fork_guard import end_child
from worker.asgi.host import AsgiHost
from worker.asgi.instance import clear_frames
from worker.background.failed_messages import FailedMessages
from worker.background.message_sources import MessageSource, Received
from worker.errors import UnknownScope, WrongOrder

log = logging.getLogger("towpath.worker")

#: Between an instance that has failed before it received anything and the next one.
RESTART_S_MIN, RESTART_S_MAX = 0.5, 30.0


class Phase(IntEnum):
    """How far a place has come to its end. It never goes back."""

    RUNNING = 0
    STOPPING = 1  #: the instance may finish its message
    CANCELLED = 2  #: by us


class ChannelInstance:
    """One place for messages of one channel: an application instance, and the next one when that has ended."""

    def __init__(self, host: AsgiHost, channel: str, source: MessageSource, failed: FailedMessages) -> None:
        self._host = host
        self._channel = channel
        self._source = source
        self._counters = failed.counters
        self._failed_messages = failed
        self._received: Received | None = None
        self._received_count = 0
        self.waits_since = asyncio.get_running_loop().time()  #: unless it is busy
        self._phase = Phase.RUNNING
        self.asking: asyncio.Future[None] = (
            asyncio.get_running_loop().create_future()
        )  #: done when the first has called receive()
        self.task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """True if the instance has a message and has not asked for the next."""
        return self._received is not None

    def start(self) -> None:
        """Start the first application instance."""
        self.task = asyncio.get_running_loop().create_task(self._run(), name=f"channel {self._channel}")

    def stop(self) -> None:
        """Let the instance finish its message and end then."""
        self._phase = max(self._phase, Phase.STOPPING)
        if not self.busy:
            self.cancel()

    def cancel(self) -> None:
        """End the instance now."""
        self._phase = Phase.CANCELLED
        if self.task is not None:
            self.task.cancel()

    async def _run(self) -> None:
        delay_s = RESTART_S_MIN
        while self._phase is Phase.RUNNING:
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
            if self._phase is Phase.CANCELLED and isinstance(error, asyncio.CancelledError):
                self._received = None  # and it is not finished
                raise
            end_child(error)
            await self._failed(error)
            clear_frames(error)
        else:
            self._check_asked("it returned without asking for a message")
        self._finish()

    async def _failed(self, error: BaseException) -> None:
        if self._check_asked(f"it raised {type(error).__name__}: {error}", error):
            return
        self._counters["background.failed"] += 1
        log.error("the application failed at a message of %s", self._channel, exc_info=error)
        if self._received is not None and not self._source.has(self._received):
            self._received = None  # another process has it, and decides what becomes of it
        if self._received is not None:
            await self._failed_messages.handle(self._channel, self._received.message, error)

    def _check_asked(self, why: str, cause: BaseException | None = None) -> bool:
        """Whether the application has ended before it asked for any message: then it knows no channels."""
        if self.asking.done():
            return False
        error = UnknownScope(f'the application cannot run for a channel: given a scope of type "channel" {why}')
        error.__cause__ = cause
        self.asking.set_exception(error)
        return True

    def _finish(self) -> None:
        received, self._received = self._received, None
        if received is not None:
            self.waits_since = asyncio.get_running_loop().time()
            self._source.finish(received)

    async def _receive(self) -> Event:
        self._finish()
        if not self.asking.done():
            self.asking.set_result(None)
        if self._phase is not Phase.RUNNING:
            self.cancel()
            await asyncio.get_running_loop().create_future()  # for the cancellation: no other message is taken
        self._received = received = await self._source.next()
        self._received_count += 1
        self._counters["background.received"] += 1
        return received.for_application

    async def _send(self, event: Event) -> None:
        raise WrongOrder(f"an instance for the channel {self._channel} has no client to send to; use the channel layer")
