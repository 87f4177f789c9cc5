"""The channel layer as applications use it: from any event loop and any thread of a process.

    layer = get_channel_layer()            # or: await channel_layer.connect("redis://…")
    await layer.group_send("room", {"type": "websocket.send", "text": "hello"})

Names and calls are those of the Channels layer specification. Each call runs on the loop of the process' node: the worker's, or that
of a thread of its own. A call from another loop is handed over to it, and may be made from a loop that lives for this one call.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from types import MappingProxyType, TracebackType
from typing import Any, Protocol

from channel_layer.application.capacities import LayerSettings
from channel_layer.application.message_reader import ReaderClosed
from channel_layer.application.receiving import receive
from channel_layer.errors import LayerUnusable, NothingSent
from channel_layer.loop.loop_layer import CLOSED, LoopLayer
from channel_layer.protocol.events import Event
from channel_layer.protocol.names import check_exclude
from channel_layer.settings import RedisSettings

NEW_CHANNEL_PREFIX = "specific"
NOT_STARTED = (
    "a worker's channel layer can be used when its application has started: not yet while it is imported, and not yet in its lifespan "
    "startup"
)


class Home(Protocol):
    """The place of a process' node. Every method may be called by any thread."""

    @property
    def redis(self) -> RedisSettings:
        """The Redis and the prefix of the node."""

    def loop_layer(self) -> LoopLayer | None:
        """The layer on the node's loop; None if the node does not run yet. Raises LayerUnavailable if it never will."""

    @property
    def counters(self) -> dict[str, int]:
        """What the process of the node has counted that concerns the layer: a copy."""

    def start(self) -> Future[LoopLayer]:
        """Start the node. The future fails with LayerUnavailable. No caller can cancel it: it is the same one for all."""

    def closed(self) -> Home:
        """The place in which a layer is that has been closed: this one, if the node is not there for it alone."""

    async def close(self) -> None:
        """End the node, if it is there for this layer only."""


class ChannelLayer:
    """The channel layer of one process. All methods may be called from any running loop."""

    extensions = ("groups", "flush", "statistics")

    def __init__(self, home: Home, settings: LayerSettings | None = None) -> None:
        """settings: for the channels that are made and sent to by this object."""
        self._home = home
        self._settings = settings or LayerSettings()

    @property
    def settings(self) -> LayerSettings:
        """The settings of channels that are made and sent to by this object."""
        return self._settings

    @property
    def home(self) -> Home:
        """The place of the node, over which layers with other settings may be made."""
        return self._home

    @property
    def closed(self) -> bool:
        """True if `close` was called. A worker's own layer is never closed."""
        return isinstance(self._home, ClosedHome)

    @property
    def counters(self) -> Mapping[str, int]:
        """What this process has counted that concerns the layer: messages that were dropped or missed, malformed packets.

        A copy of this moment, which cannot be written to. OPERATIONS.md, "Counters", explains each name.
        """
        return MappingProxyType(self._home.counters)

    async def start(self) -> None:
        """Connect to Redis now, and not at the first call. Raises LayerUnavailable."""
        await self._started()

    async def send(self, channel: str, message: Event) -> None:
        """Send `message` to `channel`, or raise and send nothing.

        channel: a shared channel (`thumbnails`): one receiver anywhere gets the message. Or an application channel
        (`<node>!specific.…`, made by `new_channel`). Or a reply channel (`<node>!<number>`): the message, `websocket.send` or
        `websocket.close` as an application sends them, goes straight to the client, outside of flow control. The first one to a
        connection that is over is lost; later ones are told.

        Raises InvalidName, InvalidMessage, MessageTooLarge (a caller's bug); ChannelFull, where that can be known here:
        for a shared channel, and for an application channel of this process; ChannelGone for one of this process that
        has ended, and for a connection that is known to be over; LayerUnavailable while Redis is unreachable, or if it
        does not take what waits already in time.
        Delivered at most once, in order. PROTOCOL.md, P1, P4.
        """
        await self._run(LoopLayer.send, channel, message, self._settings)

    async def receive(self, channel: str) -> Event:
        """Wait for the next message of a shared channel, or of an application channel of this process, and return it.

        May be cancelled at any moment: a message that this process has taken already waits for the next call in this process.
        Raises InvalidName, ChannelGone, LayerUnavailable.
        """
        loop_layer = await self._started()
        queue = loop_layer.queue_of(channel)
        event: Event = await (receive(queue) if queue is not None else self._receive_shared(loop_layer, channel))
        return event

    async def _receive_shared(self, loop_layer: LoopLayer, channel: str) -> Any:
        while True:
            reader = loop_layer.open_reader(channel) or await self._run(LoopLayer.reader_of, channel)
            with contextlib.suppress(ReaderClosed):
                return await receive(reader.queue, reader.on_waiting)

    async def new_channel(self, prefix: str = NEW_CHANNEL_PREFIX) -> str:
        """Make an application channel in this process, and return its name. Raises InvalidName, LayerUnavailable.

        It ends with the WebSocket instance that made it, with the process, or if it is not received from for `group_expiry`.
        """
        name: str = await self._run(_new_channel, prefix, self._settings)
        return name

    async def group_add(self, group: str, channel: str, report_missed: bool | Event = False) -> None:
        """Make `channel` a member of `group`. Messages that are sent to the group after this call has returned reach the channel.

        channel: a reply channel or an application channel, of any process. One that is over is not added and raises nothing: no
        message would reach it anyhow. Or a shared channel, whose membership ends after `group_expiry` unless it is added again.
        report_missed: for a reply channel, the message that its client gets when messages to the group were lost on the way to its
        interface server. For an application channel of this process, True: it gets `{"type": "towpath.gap", "group": …, "missed": n}`.

        Raises InvalidName; InvalidMessage, MessageTooLarge for `report_missed`; ChannelFull if 1 000 other shared channels are members;
        LayerUnavailable (the outcome is unknown; adding again is harmless). P10.
        """
        await self._run(LoopLayer.group_add, group, channel, report_missed, self._settings)

    async def group_discard(self, group: str, channel: str) -> None:
        """Remove `channel` from `group`; harmless if it was no member. Raises InvalidName, LayerUnavailable (as `group_add`)."""
        await self._run(LoopLayer.group_discard, group, channel)

    async def group_send(self, group: str, message: Event, exclude: Iterable[str] = ()) -> None:
        """Send `message` to every member by one command, and by one more for each shared channel among them.

        Raises InvalidName, InvalidMessage, MessageTooLarge, LayerUnavailable. Once it is published nothing is raised: a shared channel
        that is full drops the message, as an application channel does.

        message: of any type for application channels; `websocket.send` or `websocket.close`, as an application sends them, for
        sockets. exclude: channels that do not get it. A socket that does not take what groups send it, in time or at all, is closed
        with 1013; an application channel that is full drops the newest. P10.
        """
        await self._run(LoopLayer.group_send, group, message, check_exclude(exclude), self._settings)

    async def flush(self) -> None:
        """Drop all messages in shared channels of applications and in the application channels of this process, and the
        memberships of both. Connections, and what waits for workers, stay. Raises LayerUnavailable.
        """
        await self._run(LoopLayer.flush)

    async def statistics(self, channel: str) -> dict[str, int | float]:
        """`messages_pending` and `messages_max_age` (seconds) of a shared channel, or of an application channel of this process.

        Raises InvalidName, ChannelGone, LayerUnavailable.
        """
        statistics: dict[str, int | float] = await self._run(LoopLayer.statistics, channel)
        return statistics

    async def close(self) -> None:
        """End the connections to Redis, and the channels that were made here. In a worker: do nothing, it still needs them.

        Calls under way and later ones raise LayerUnavailable; `get_channel_layer()` makes another layer.
        """
        home, self._home = self._home, self._home.closed()
        await home.close()

    async def __aenter__(self) -> ChannelLayer:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def _started(self) -> LoopLayer:
        """The layer on the node's loop, for which the first calls wait. Raises LayerUnavailable."""
        loop_layer = self._home.loop_layer()
        return loop_layer if loop_layer is not None else await asyncio.wrap_future(self._home.start())

    async def _run(self, call: Any, *arguments: Any) -> Any:
        """Run a call of LoopLayer on its loop."""
        loop_layer = await self._started()
        if loop_layer.loop is asyncio.get_running_loop():
            return await call(loop_layer, *arguments)
        return await loop_layer.bridge.run(call, loop_layer, *arguments)


async def _new_channel(loop_layer: LoopLayer, prefix: str, settings: LayerSettings) -> str:
    return loop_layer.new_channel(prefix, settings)


class WorkerHome:
    """The worker's own node, which its dispatcher starts and ends. Implements `Home`."""

    def __init__(self, redis: RedisSettings) -> None:
        """Made before the application is loaded, which may find its layer then, though it cannot use it yet."""
        self.redis = redis
        self._loop_layer: LoopLayer | None = None
        self._pid = os.getpid()

    def open(self, loop_layer: LoopLayer) -> None:
        """Serve calls from now on: the node is connected."""
        self._loop_layer = loop_layer

    def loop_layer(self) -> LoopLayer:
        """See `Home`. A forked child has no node: its parent's loop does not run there."""
        if self._pid != os.getpid():
            raise LayerUnusable("a forked child of a worker has no channel layer: connect() makes one")
        if self._loop_layer is None:
            raise NothingSent(NOT_STARTED)
        return self._loop_layer

    @property
    def counters(self) -> dict[str, int]:
        """See `Home`."""
        return self._loop_layer.counters if self._loop_layer is not None else {}

    def start(self) -> Future[LoopLayer]:
        """See `Home`."""
        future: Future[LoopLayer] = Future()
        future.set_result(self.loop_layer())
        return future

    def closed(self) -> Home:
        """See `Home`. The dispatcher still needs the node."""
        return self

    async def close(self) -> None:
        """See `Home`."""


class ClosedHome:
    """The place of no node: that of a layer that was closed. Implements `Home`."""

    def __init__(self, redis: RedisSettings, counters: dict[str, int]) -> None:
        """counters: as they were when the layer was closed."""
        self.redis = redis
        self.counters = counters

    def loop_layer(self) -> LoopLayer:
        """See `Home`."""
        raise LayerUnusable(CLOSED)

    def start(self) -> Future[LoopLayer]:
        """See `Home`."""
        raise LayerUnusable(CLOSED)

    def closed(self) -> Home:
        """See `Home`."""
        return self

    async def close(self) -> None:
        """See `Home`."""
