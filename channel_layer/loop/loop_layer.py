"""The calls of the channel layer on the loop of a node, which is the worker's, or that of a thread of its own (layer_thread.py).

A channel's name decides on the way: a shared channel is a stream in Redis; a reply channel or an application channel belongs to the
node that its name begins with. A message to a reply channel (`{"type": "websocket.send", "text": …}`) goes straight to the socket
without passing a worker.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from channel_layer.application.application_channels import ApplicationChannels
from channel_layer.application.capacities import LayerSettings
from channel_layer.application.held_messages import HeldMessages
from channel_layer.application.local_queue import LocalQueue
from channel_layer.application.message_reader import MessageReader
from channel_layer.application.receiving import clock
from channel_layer.application.shared_commands import channels_to_send_to
from channel_layer.application.shared_members import SharedMembers
from channel_layer.application.shared_messages import SharedMessages
from channel_layer.current_connection import CURRENT_CONNECTION, Key, OwnDownstream, epoch_of
from channel_layer.errors import ChannelFull, ChannelGone, InvalidMessage, InvalidName, LayerUnusable
from channel_layer.loop.loop_bridge import LoopBridge
from channel_layer.loop.owner_requests import OwnerRequests
from channel_layer.loop.undeliverable import Undeliverable
from channel_layer.node import Node
from channel_layer.protocol import packets
from channel_layer.protocol.codec import check_size, pack, unpack
from channel_layer.protocol.events import Event, check_message
from channel_layer.protocol.names import check_channel, check_channel_prefix, check_exclude, check_group
from channel_layer.protocol.socket_messages import CHECKS, report_message, socket_message

ANSWER_TIMEOUT_S = 5.0
CLEAN_UP_INTERVAL_S = 5.0
#: The type of the message about messages to a group that were missed.
MISSED = "towpath.gap"
CLOSED = "this layer is closed"
#: How the names of the counters begin that concern the layer. A worker's process counts more than these.
COUNTED = ("dropped.", "groups.", "lease.", "packets.")

#: For a process that runs no application instances.
NO_DOWNSTREAMS: Mapping[Key, OwnDownstream] = MappingProxyType({})
NO_ORIGIN: packets.Origin = ("", 0, 0, 0)


class LoopLayer:
    """The layer of one process, on the loop of its node. layer.py says what each call does and raises.

    Events that an instance of a WebSocket sends by its `send` and by the layer reach its own client in the order of those calls.
    """

    def __init__(
        self,
        node: Node,
        counters: Counter[str],
        downstreams: Mapping[Key, OwnDownstream] = NO_DOWNSTREAMS,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> None:
        """counters: those of the process. downstreams: those of the instances that run in this process."""
        self.loop = asyncio.get_running_loop()
        self.bridge = LoopBridge(self.loop)
        self._node = node
        self._counters = counters
        self._channels = ApplicationChannels(node.name, counters, node.unsubscribe)
        self._shared = SharedMessages(node, counters)
        self._shared_members = SharedMembers(node, self._shared, counters)
        self._cleaning: asyncio.Task[None] | None = None
        self._downstreams = downstreams
        self._owners = OwnerRequests(node, answer_timeout_s)
        self._undeliverable = Undeliverable()

    @property
    def counters(self) -> dict[str, int]:
        """What this process has counted that concerns the layer. Any thread may call it."""
        counts = {**self._node.counters, **self._counters}
        return {name: times for name, times in counts.items() if name.startswith(COUNTED)}

    async def send(self, channel: str, message: Event, settings: LayerSettings) -> None:
        """See `ChannelLayer.send`."""
        node, number, local = _parsed(channel)
        check_message(message)
        packed = check_size(pack(message))
        if number:
            await self._send_to_client(node, number, message)
        elif not node:
            await self._shared.send(channel, message, settings)
        elif node == self._node.name:
            self._put(channel, local, packed)
        else:
            self._owners.check_owner(node)
            await self._owners.wait_for_space(node)
            self._node.post(node, packets.message(local, message, settings.expiry_ms))

    async def _send_to_client(self, node: str, number: int, message: Event) -> None:
        message = socket_message(message)
        self._undeliverable.check(node, number, message["type"])
        self._owners.check_owner(node)
        await self._owners.wait_for_space(node)
        epoch, count = self._next_origin()[2:] if epoch_of(node, number) else (0, 0)
        self._node.post(node, packets.send(number, message, epoch, count))

    def _put(self, channel: str, local: str, packed: bytes) -> None:
        """Deliver to a channel of this process, which gets a copy."""
        outcome = self._channels.put(local, unpack(packed))
        if outcome is None:
            raise ChannelGone(f"{channel} is no channel of this process (any more)")
        if not outcome:
            raise ChannelFull(f"{channel} holds as many messages as its capacity")

    def new_channel(self, prefix: str, settings: LayerSettings) -> str:
        """See `ChannelLayer.new_channel`."""
        return self._channels.new(check_channel_prefix(prefix), settings)

    def queue_of(self, channel: str) -> LocalQueue | None:
        """The queue of an application channel of this process; None for a shared channel. Any thread may call it.

        Raises InvalidName for a channel from which this process cannot receive, ChannelGone for one that it does not have.
        """
        node, number, local = _parsed(channel)
        if not node:
            return None
        if number or node != self._node.name:
            raise InvalidName(
                f"{channel!r} belongs to another process, or to a client: only its owner receives from it"
            )
        queue = self._channels.queue_of(local)
        if queue is None:
            raise ChannelGone(f"{channel} is no channel of this process (any more)")
        return queue

    def open_reader(self, channel: str) -> MessageReader | None:
        """The reader of a shared channel, if there is one. Any thread may call it."""
        return self._shared.open_reader(channel)

    async def reader_of(self, channel: str) -> MessageReader:
        """The reader of a shared channel. Raises InvalidName, LayerUnavailable."""
        return await self._shared.reader(channel)

    async def hold_messages(self, channel: str, visibility_timeout_s: float) -> HeldMessages:
        """Receive the messages of a shared channel at least once. Raises LayerUnavailable."""
        held = HeldMessages(self._node, channel, self._counters, visibility_timeout_s)
        await held.start()
        return held

    async def waiting_channels(self, wanted: Callable[[str], bool]) -> list[str]:
        """The wanted ones of the shared channels in which messages wait. Raises LayerUnavailable."""
        return await self._shared.waiting(wanted)

    async def group_add(self, group: str, channel: str, report_missed: bool | Event, settings: LayerSettings) -> None:
        """See `ChannelLayer.group_add`."""
        check_group(group)
        node, number, local = _parsed(channel)
        if node == self._node.name:
            await self._join(group, local, report_missed)
        elif number:
            join = partial(packets.join, report=report_message(report_missed))
            if not self._undeliverable.is_over(node, number):
                await self._owners.change_membership(join, group, node, number)
        elif report_missed:
            raise InvalidName(
                f"{channel!r} cannot be told what it missed: it is no client, and no application channel of this process"
            )
        elif not node:
            await self._owners.in_time(self._shared_members.add(group, channel, settings))
        else:
            await self._owners.change_membership(packets.join, group, node, local)

    async def _join(self, group: str, local: str, report_missed: object) -> None:
        if not isinstance(report_missed, bool):
            raise InvalidMessage("report_missed is True or False for an application channel: it gets `towpath.gap`")
        self._owners.check_connected()
        if self._channels.join(group, local, report_missed):
            # Done too when the subscription is cancelled: the channel has left the group again, or has ended.
            await self._owners.in_time(asyncio.wait((self._node.subscribe(group),)))

    async def group_discard(self, group: str, channel: str) -> None:
        """See `ChannelLayer.group_discard`."""
        check_group(group)
        node, number, local = _parsed(channel)
        if node == self._node.name:
            self._channels.leave(group, local)
        elif not node:
            await self._owners.in_time(self._shared_members.discard(group, channel))
        elif not self._undeliverable.is_over(node, number):
            await self._owners.change_membership(packets.leave, group, node, number or local)

    async def group_send(self, group: str, message: Event, exclude: Iterable[str], settings: LayerSettings) -> None:
        """See `ChannelLayer.group_send`."""
        check_group(group)
        check_message(message)
        packed = check_size(pack(message))
        if message["type"] in CHECKS and (sent := socket_message(message)) != message:
            message, packed = sent, pack(sent)
        for_members: Event = {}  # what only processes with members read
        if excluded := check_exclude(exclude):
            for_members[packets.EXCLUDE] = excluded
        self._owners.check_connected()
        node, number, epoch, count = origin = self._next_origin()
        if count:
            self._node.post(node, packets.published(number, epoch, count, group))
            for_members[packets.ORIGIN] = origin
        if for_members:
            packed = pack({**message, **for_members})
        published = await self._owners.in_time(self._node.publish(group, packed))
        if channels := channels_to_send_to(published, excluded):
            await self._shared_members.send(channels, message, settings)

    async def flush(self) -> None:
        """See `ChannelLayer.flush`."""
        self._channels.clear()
        await self._shared.flush()
        await self._shared_members.flush()

    async def statistics(self, channel: str) -> dict[str, int | float]:
        """See `ChannelLayer.statistics`."""
        queue = self.queue_of(channel)
        if queue is None:
            return await self._shared.statistics(channel)
        return {"messages_pending": queue.waiting_count, "messages_max_age": queue.max_age_s(clock())}

    # -- life

    def start(self) -> None:
        """Begin to drop what is no longer of use, every few seconds."""
        self._cleaning = self.loop.create_task(self._clean_up())

    async def close(self) -> None:
        """Let every receiver that waits raise LayerUnusable, and stop reading shared channels. To be called before the node is closed."""
        if self._cleaning is not None:
            self._cleaning.cancel()
        error = LayerUnusable(CLOSED)
        self._channels.end_receivers(error)
        self._shared.end_receivers(error)
        await self._shared.close()
        self.bridge.close()

    async def _clean_up(self) -> None:
        while True:
            await asyncio.sleep(CLEAN_UP_INTERVAL_S)
            self._channels.end_with_instances(self._downstreams)
            self._channels.drop_expired()
            self._shared.drop_idle()

    # -- from Redis

    def on_packet(self, sender: str, packet: list[Any]) -> bool:
        """Handle a packet for the layer. Returns False if it is not of such a kind. Raises as MALFORMED says."""
        kind = packet[0]
        if kind == packets.JOINED:
            self._owners.answered(packet[3])
        elif kind == packets.UNDELIVERABLE:
            self._undeliverable.add(sender, packet[1], packet[3])
        elif kind == packets.MESSAGE:
            check_message(packet[3])
            self._channels.deliver(packet[1], packet[3], packet[4] / 1000)
        elif kind in (packets.JOIN, packets.LEAVE):
            self._on_membership(sender, packet)
        else:
            return False
        return True

    def on_group_message(self, group: str, event: Event) -> None:
        """Deliver a message to a group to the application channels here; drop and count it if its `towpath.exclude` is no list of names."""
        event.pop(packets.ORIGIN, None)
        excluded = event.pop(packets.EXCLUDE, None) or []
        if not isinstance(excluded, list) or not all(isinstance(channel, str) for channel in excluded):
            self._counters["packets.malformed"] += 1
            return
        self._channels.deliver_to_group(group, event, frozenset(excluded))

    def on_messages_missed(self, group: str, missed: int) -> None:
        """Tell the application channels that asked for it: messages to their group were lost on the way to this process."""
        self._channels.deliver_missed(group, {"type": MISSED, "group": group, "missed": missed})

    def _on_membership(self, sender: str, packet: list[Any]) -> None:
        kind, local, epoch, group, request = packet[:5]
        check_group(group)
        if type(local) is not str:
            known = False
        elif kind == packets.LEAVE:
            known = self._channels.leave(group, local)
        else:
            known = self._channels.join(group, local)
            if known:
                future = self._node.subscribe(group)
                future.add_done_callback(
                    lambda done: self._node.post(sender, packets.joined(local, epoch, request, not done.cancelled()))
                )
                return
        self._node.post(sender, packets.joined(local, epoch, request, known))

    def _next_origin(self) -> packets.Origin:
        """The position of the next message of the running instance among all that it sends; NO_ORIGIN outside of instances."""
        own = CURRENT_CONNECTION.get()
        downstream = self._downstreams.get(own) if own is not None else None
        return (downstream.next_origin() if downstream is not None else None) or NO_ORIGIN


def _parsed(channel: str) -> tuple[str, int, str]:
    """Node, number of the connection (0: no reply channel), and local part of a channel. A shared channel: empty but for a 0."""
    node, separator, local = check_channel(channel).partition("!")
    if not separator:
        return "", 0, ""
    return node, int(local) if local.isdecimal() else 0, local
