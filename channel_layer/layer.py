"""The channel layer: sends to the client of any connection, and to groups of them.

`get_channel_layer()` in an application served by Towpath returns the layer of its worker. Names and calls are those of the
Channels layer specification. Two things differ: memberships do not expire, and a message to a reply channel (`{"type":
"websocket.send", "text": …}`) goes straight to the socket without passing a worker.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from channel_layer.current_connection import CURRENT_CONNECTION, Key, OwnDownstream, epoch_of
from channel_layer.errors import InvalidName, LayerUnavailable
from channel_layer.node import Node
from channel_layer.protocol import packets
from channel_layer.protocol.events import Event, check_message
from channel_layer.protocol.names import check_channel, check_group
from channel_layer.protocol.packets import Packet
from channel_layer.protocol.socket_messages import socket_message

ANSWER_TIMEOUT_S = 5.0
#: A sender that is faster than Redis waits when so many bytes wait for one process.
BACKLOG_BYTES_MAX = 1_048_576
BACKLOG_POLL_S = 0.002


#: For a process that runs no application instances.
NO_DOWNSTREAMS: Mapping[Key, OwnDownstream] = MappingProxyType({})
NO_ORIGIN: packets.Origin = ("", 0, 0, 0)


class ChannelLayer:
    """The layer of one process. Its calls belong to the process' loop; synchronous code uses `asgiref.sync.async_to_sync`.

    Events that an instance of a WebSocket sends by its `send` and by the layer reach its own client in the order of those calls.
    """

    def __init__(
        self,
        node: Node,
        downstreams: Mapping[Key, OwnDownstream] = NO_DOWNSTREAMS,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> None:
        """downstreams: those of the instances that run in this process."""
        self._node = node
        self._downstreams = downstreams
        self._answer_timeout_s = answer_timeout_s
        self._requests = itertools.count(1)
        self._answers: dict[int, asyncio.Future[bool]] = {}

    async def send(self, channel: str, message: Event) -> None:
        """Send `message` to `channel`, or raise and send nothing.

        channel: a reply channel (`<node>!<number>`). The message goes straight to its client, outside of flow control; it is
        dropped if that connection is over. message: `websocket.send` or `websocket.close`, as an application sends them.

        Raises InvalidName and InvalidMessage (a caller's bug), and LayerUnavailable while Redis is unreachable, or if it does not
        take what waits already in time. Delivered at most once, in order. PROTOCOL.md, P1.
        """
        node, number = self._local(channel)
        check_message(message)
        message = socket_message(message)
        self._connected()
        await self._wait_for_space(node)
        epoch, count = self._next_origin()[2:] if epoch_of(node, number) else (0, 0)
        self._node.post(node, packets.send(number, message, epoch, count))

    async def group_add(self, group: str, channel: str) -> None:
        """Make `channel` a member of `group`. Messages that are sent to the group after this call has returned reach the channel.

        channel: a reply channel. A channel whose connection is over is not added and raises nothing: no message would reach it
        anyhow. Raises InvalidName, LayerUnavailable (the outcome is unknown; adding again is harmless). P10.
        """
        await self._membership(packets.join, group, channel)

    async def group_discard(self, group: str, channel: str) -> None:
        """Remove `channel` from `group`; harmless if it was no member. Raises as `group_add`."""
        await self._membership(packets.leave, group, channel)

    async def group_send(self, group: str, message: Event) -> None:
        """Send `message` to every member by one publish. Raises InvalidName, InvalidMessage, LayerUnavailable.

        message: `websocket.send` or `websocket.close`, as an application sends them. A socket that does not take what groups send
        it, in time or at all, is closed with 1013. P10.
        """
        check_group(group)
        check_message(message)
        message = socket_message(message)
        self._connected()
        node, number, epoch, count = origin = self._next_origin()
        if count:
            self._node.post(node, packets.published(number, epoch, count, group))
            message = {**message, packets.ORIGIN: origin}
        try:
            async with asyncio.timeout(self._answer_timeout_s):
                await self._node.publish(group, message)
        except TimeoutError:
            raise self._no_answer("Redis") from None

    def answered(self, request: int, known: bool) -> None:
        """Complete the call that waits for this `joined` packet."""
        future = self._answers.pop(request, None)
        if future is not None and not future.done():
            future.set_result(known)

    def _next_origin(self) -> packets.Origin:
        """The position of the next message of the running instance among all that it sends; NO_ORIGIN outside of instances."""
        own = CURRENT_CONNECTION.get()
        downstream = self._downstreams.get(own) if own is not None else None
        return (downstream.next_origin() if downstream is not None else None) or NO_ORIGIN

    async def _membership(self, packet: Any, group: str, channel: str) -> None:
        check_group(group)
        node, number = self._local(channel)
        self._connected()
        request = next(self._requests)
        await self._ask(request, node, packet(number, epoch_of(node, number), group, request))

    async def _ask(self, request: int, node: str, packet: Packet) -> None:
        future = self._answers[request] = asyncio.get_running_loop().create_future()
        self._node.post(node, packet)
        try:
            async with asyncio.timeout(self._answer_timeout_s):
                await future
        except TimeoutError:
            if await self._may_live(node):
                raise self._no_answer(node) from None
        finally:
            self._answers.pop(request, None)

    async def _may_live(self, node: str) -> bool:
        """True if the lease of `node` exists, or Redis does not answer that."""
        try:
            async with asyncio.timeout(self._answer_timeout_s):
                return await self._node.has_lease(node)
        except (TimeoutError, LayerUnavailable):
            return True

    def _no_answer(self, peer: str) -> LayerUnavailable:
        return LayerUnavailable(f"{peer} did not answer within {self._answer_timeout_s:g} s")

    @staticmethod
    def _local(channel: str) -> tuple[str, int]:
        """Node and number of a reply channel."""
        node, _, number = check_channel(channel).partition("!")
        if not number.isdecimal():
            raise InvalidName(f"{channel!r} is not a reply channel: <node>!<number>")
        return node, int(number)

    async def _wait_for_space(self, node: str) -> None:
        """Wait until less than BACKLOG_BYTES_MAX waits for `node`. Raises LayerUnavailable if that takes too long."""
        if self._node.waiting_bytes(node) < BACKLOG_BYTES_MAX:
            return
        try:
            async with asyncio.timeout(self._answer_timeout_s):
                while self._node.waiting_bytes(node) >= BACKLOG_BYTES_MAX:
                    await asyncio.sleep(BACKLOG_POLL_S)
        except TimeoutError:
            raise LayerUnavailable(f"{BACKLOG_BYTES_MAX} bytes wait for {node}, and Redis does not take them") from None

    def _connected(self) -> None:
        if not self._node.connected:
            raise LayerUnavailable("not connected to Redis")
