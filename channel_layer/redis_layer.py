"""Sending from anywhere: to the client of any connection, and to groups of them.

`get_channel_layer()` in an application served by Towpath returns the layer of its worker. Names and calls are those of the
Channels layer specification; what is different: membership needs no expiry, and a message to a reply channel
(`{"type": "websocket.send", "text": …}`) goes straight to the socket, with no worker on its way.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from channel_layer import packets
from channel_layer.codec import pack_packet
from channel_layer.errors import ChannelFull, InvalidName, LayerUnavailable
from channel_layer.events import Event, check_message
from channel_layer.keys import CHANNEL_OF_KIND
from channel_layer.names import check_channel, check_group, split_local
from channel_layer.packets import Packet
from channel_layer.redis_node import RedisNode
from channel_layer.redis_opener import Outcome

ANSWER_TIMEOUT_S = 5.0


class _Sending:
    """One message on its way onto a shared channel."""

    __slots__ = ("future",)

    def __init__(self, future: asyncio.Future[bytes | Outcome]) -> None:
        self.future = future

    def opened(self, _epoch: int, outcome: bytes | Outcome) -> None:
        if not self.future.done():
            self.future.set_result(outcome)


class RedisLayer:
    """The layer of one process. Its calls belong to the process' loop; from sync code use `asgiref.sync.async_to_sync`."""

    def __init__(self, node: RedisNode) -> None:
        self._node = node
        self._requests = itertools.count(1)
        self._answers: dict[int, asyncio.Future[bool]] = {}

    async def send(self, channel: str, message: Event) -> None:
        """Send `message` to `channel`, or raise.

        A reply channel (`<node>!<number>`): straight to its client, outside of flow control; a channel that is no more drops it. A shared
        channel: appended, to be read by one reader. message: a dict of ASGI types with a `type`.

        Raises ChannelFull at capacity (nothing was sent), InvalidName and InvalidMessage (a caller's bug),
        LayerUnavailable when Redis did not answer (the outcome is unknown). Delivered at most once. PROTOCOL.md, P1 and P4.
        """
        check_channel(channel)
        check_message(message)
        local = split_local(channel)
        if local is None:
            await self._append(channel, message)
        else:
            self._connected()
            self._node.post(local[0], packets.send(_local_part(local[1]), message))

    async def group_add(self, group: str, channel: str) -> None:
        """Make `channel` a member of `group`. When it returns, whatever is sent to the group afterwards reaches the channel.

        channel: a reply channel. A channel that is no more is not added, silently: it would not be reached anyhow.
        Raises InvalidName, LayerUnavailable (the outcome is unknown; adding again is harmless). P10.
        """
        await self._membership(packets.join, group, channel)

    async def group_discard(self, group: str, channel: str) -> None:
        """Let `channel` be a member no longer; harmless if it was none. Raises as `group_add`."""
        await self._membership(packets.leave, group, channel)

    async def group_send(self, group: str, message: Event) -> None:
        """Send `message` to every member: one publish, whatever their number. Raises InvalidMessage, LayerUnavailable.

        A socket that does not take what groups send it is closed with 1013 when 1 MiB waits for it. P10.
        """
        check_group(group)
        check_message(message)
        await self._node.publish(group, message)

    def answered(self, request: int, known: bool) -> None:
        """The room got a `joined` packet."""
        future = self._answers.pop(request, None)
        if future is not None and not future.done():
            future.set_result(known)

    async def _membership(self, packet: Any, group: str, channel: str) -> None:
        check_group(group)
        local = split_local(check_channel(channel))
        if local is None:
            raise InvalidName(f"{channel!r} is a shared channel; members of groups are process-local channels")
        self._connected()
        request = next(self._requests)
        await self._ask(request, local[0], packet(_local_part(local[1]), 0, group, request))

    async def _ask(self, request: int, node: str, packet: Packet) -> None:
        future = self._answers[request] = asyncio.get_running_loop().create_future()
        self._node.post(node, packet)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await future
        except TimeoutError:
            if await self._lives(node):
                raise LayerUnavailable(f"{node} did not answer within {ANSWER_TIMEOUT_S:.0f} s") from None
        finally:
            self._answers.pop(request, None)

    async def _lives(self, node: str) -> bool:
        connection = self._node.connection
        return connection is None or bool(await connection.execute("EXISTS", self._node.keys.lease(node)))

    async def _append(self, channel: str, message: Event) -> None:
        if channel in CHANNEL_OF_KIND.values():
            raise InvalidName(f"{channel!r} is where connections wait for workers; nobody else sends there")
        opener = self._node.opener(channel, self._node.settings.channel_capacity)
        future: asyncio.Future[bytes | Outcome] = asyncio.get_running_loop().create_future()
        opener.open(pack_packet(packets.send(channel, message)), _Sending(future), 0)
        outcome = await future
        if outcome is Outcome.FULL:
            raise ChannelFull(f"{channel} holds {self._node.settings.channel_capacity} unread messages")
        if isinstance(outcome, Outcome):
            raise LayerUnavailable("Redis did not answer")

    def _connected(self) -> None:
        if self._node.connection is None:
            raise LayerUnavailable("not connected to Redis")


def _local_part(text: str) -> int | str:
    """Connections are numbered; other local channels are named."""
    return int(text) if text.isdecimal() else text
