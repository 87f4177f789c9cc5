"""Makes the background work of one worker, by its settings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from channel_layer.application.held_messages import HeldMessages
from channel_layer.loop.loop_layer import LoopLayer
from worker.asgi.host import AsgiHost
from worker.background.channel_instance import ChannelInstance
from worker.background.channel_instances import ChannelInstances
from worker.background.channel_names import ChannelNames
from worker.background.failed_messages import FailedMessages
from worker.background.message_sources import AtLeastOnce, AtMostOnce, MessageSource
from worker.background.received_channel import ReceivedChannel
from worker.connections.dispatcher import Dispatcher
from worker.settings import WorkerSettings

AT_LEAST_ONCE = "at-least-once"


class BackgroundWork:
    """Makes the instances for each channel. Needs the worker's loop."""

    def __init__(self, settings: WorkerSettings, host: AsgiHost, dispatcher: Dispatcher) -> None:
        self._settings = settings
        self._host = host
        self._layer = dispatcher.layer
        retries, dead_letter = settings.channel_retries, settings.channel_dead_letter
        self._at_least_once = settings.channel_delivery == AT_LEAST_ONCE
        self._failed = FailedMessages(dispatcher.layer, dispatcher.counters, retries, dead_letter, self._at_least_once)

    def instances(self) -> ChannelInstances:
        """All instances, which receive nothing yet."""
        names = ChannelNames(self._settings.channels, self._settings.channel_dead_letter)
        return ChannelInstances(self._channel, names, self._waiting)

    def _channel(self, name: str) -> ReceivedChannel:
        source = self._source(name)
        places = range(self._settings.channel_concurrency)
        return ReceivedChannel(source, [ChannelInstance(self._host, name, source, self._failed) for _ in places])

    def _source(self, name: str) -> MessageSource:
        if self._at_least_once:
            return AtLeastOnce(name, partial(self._hold, name), self._failed)
        return AtMostOnce(partial(self._layer.receive, name))

    async def _hold(self, name: str) -> HeldMessages:
        return await self._loop_layer.hold_messages(name, self._settings.channel_visibility_timeout_s)

    async def _waiting(self, wanted: Callable[[str], bool]) -> list[str]:
        return await self._loop_layer.waiting_channels(wanted)

    @property
    def _loop_layer(self) -> LoopLayer:
        """The layer on this loop. Raises LayerUnavailable before the worker has started."""
        loop_layer = self._layer.home.loop_layer()
        assert loop_layer is not None  # a worker's own is never made by a call
        return loop_layer
