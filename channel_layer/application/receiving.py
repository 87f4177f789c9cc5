"""Waits for a message of a local queue on the running loop, whichever that is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from channel_layer.application.local_queue import LocalQueue

#: The clock of all queues: the same for every loop and thread.
clock = time.monotonic


def ignore() -> None:
    """Does nothing when a receiver waits."""


class LoopWaker:
    """Wakes a receiver that waits on one loop, from any thread."""

    __slots__ = ("_loop", "_woken")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._woken: asyncio.Future[None] = self._loop.create_future()

    async def wait(self) -> None:
        """Return when the receiver is woken; the waker can be used again then."""
        await self._woken
        self._woken = self._loop.create_future()

    def wake(self) -> bool:
        """See `Waker.wake`."""
        try:
            self._loop.call_soon_threadsafe(self._on_woken)
        except RuntimeError:  # its loop is closed
            return False
        return True

    def _on_woken(self) -> None:
        if not self._woken.done():
            self._woken.set_result(None)


async def receive(queue: LocalQueue, on_waiting: Callable[[], None] = ignore) -> Any:
    """Take the next message, and wait for it as long as it takes. May be cancelled at any moment: no message is lost.

    on_waiting: called when the queue was found empty and the receiver waits.
    """
    waker = LoopWaker()
    try:
        while (event := queue.take(clock(), waker)) is None:
            on_waiting()
            await waker.wait()
    except BaseException:
        queue.give_up(waker, clock())
        raise
    return event
