"""One channel from which this worker receives: its source of messages, and the instances that process them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from worker.background.channel_instance import ChannelInstance
from worker.background.message_sources import MessageSource

#: An instance that has not ended so long after it was cancelled is left to the end of the process.
CANCEL_TIMEOUT_S = 1.0


class ReceivedChannel:
    """The instances for one channel."""

    def __init__(self, source: MessageSource, instances: Sequence[ChannelInstance]) -> None:
        self._source = source
        self._instances = instances

    def start(self) -> None:
        """Start an application instance for each message that may be processed at once."""
        for instance in self._instances:
            instance.start()

    @property
    def asking(self) -> list[asyncio.Future[None]]:
        """For each instance a future: done when it asks for its first message, failed if it ends before."""
        return [instance.asking for instance in self._instances]

    @property
    def busy_count(self) -> int:
        """How many instances have a message."""
        return sum(instance.busy for instance in self._instances)

    def idle_s(self, now: float) -> float:
        """For how long no instance has had a message; 0 if one has. now: by the loop's clock."""
        return 0.0 if self.busy_count else now - max(instance.waits_since for instance in self._instances)

    def stop(self) -> None:
        """Let each instance finish its message, and end then."""
        for instance in self._instances:
            instance.stop()

    async def end(self) -> None:
        """End the instances now. A message that is not finished is lost, or goes to another process: as its source says."""
        tasks = [instance.task for instance in self._instances if instance.task is not None]
        for instance in self._instances:
            instance.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CANCEL_TIMEOUT_S)
        await self._source.close()
