"""Requests to the process that owns a channel, and waiting: for its answer, for Redis', and for space on the way to it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable
from typing import Any, TypeVar

from channel_layer.current_connection import epoch_of
from channel_layer.errors import ChannelGone, LayerUnavailable
from channel_layer.node import Node
from channel_layer.protocol.packets import Packet

#: A sender that is faster than Redis waits when so many bytes wait for one process.
BACKLOG_BYTES_MAX = 1_048_576
BACKLOG_POLL_S = 0.002
#: After so long without an answer a call asks whether the process is alive that it waits for.
SUSPECT_S = 0.5
#: A loop that was blocked reads after its timers: so long after the end of a wait an answer may still be read.
LAST_LOOK_S = 0.05

T = TypeVar("T")


class OwnerRequests:
    """The requests of one process, on the loop of its node."""

    def __init__(self, node: Node, answer_timeout_s: float) -> None:
        """answer_timeout_s: how long each wait may take."""
        self._node = node
        self._answer_timeout_s = answer_timeout_s
        self._requests = itertools.count(1)
        self._answers: dict[int, asyncio.Future[None]] = {}

    async def change_membership(self, packet: Any, group: str, node: str, member: int | str) -> None:
        """Ask `node` to add its channel to a group, or to remove it. packet: packets.join or packets.leave.

        Returns when it is done, or when that process is dead. Raises LayerUnavailable: the outcome is unknown.
        """
        self.check_connected()
        if self._node.is_gone(node):
            return
        request = next(self._requests)
        epoch = epoch_of(node, member) if type(member) is int else 0
        await self._ask(request, node, packet(member, epoch, group, request))

    def answered(self, request: int) -> None:
        """Complete the call that waits for this `joined` packet."""
        future = self._answers.pop(request, None)
        if future is not None and not future.done():
            future.set_result(None)

    async def in_time(self, answer: Awaitable[T]) -> T:
        """The answer of Redis. Raises LayerUnavailable if it does not come in time.

        What came in time counts, though the loop was blocked and reads it only now.
        """
        task = asyncio.ensure_future(answer)
        try:
            for timeout_s in (self._answer_timeout_s, LAST_LOOK_S):
                if not task.done():
                    await asyncio.wait((task,), timeout=timeout_s)
        finally:
            task.cancel()  # unless it is done
        if task.cancelled() or not task.done():
            raise self._no_answer("Redis")
        return task.result()

    async def wait_for_space(self, node: str) -> None:
        """Wait until less than BACKLOG_BYTES_MAX waits for `node`. Raises LayerUnavailable if that takes too long."""
        if self._node.waiting_bytes(node) < BACKLOG_BYTES_MAX:
            return
        try:
            async with asyncio.timeout(self._answer_timeout_s):
                while self._node.waiting_bytes(node) >= BACKLOG_BYTES_MAX:
                    await asyncio.sleep(BACKLOG_POLL_S)
        except TimeoutError:
            raise LayerUnavailable(f"{BACKLOG_BYTES_MAX} bytes wait for {node}, and Redis does not take them") from None

    def check_connected(self) -> None:
        """Raise NothingSent if there is no connection to Redis at present."""
        self._node.check_connected()

    def check_owner(self, node: str) -> None:
        """Raise ChannelGone if the process `node` is known to have ended, and as `check_connected`.

        Its lease is checked within a second, for later calls: the inbox of a process that was killed outlives it by up to a minute.
        """
        self.check_connected()
        if self._node.is_gone(node):
            raise ChannelGone(f"the process {node} has ended")
        self._node.suspect(node)

    async def _ask(self, request: int, node: str, packet: Packet) -> None:
        future = self._answers[request] = asyncio.get_running_loop().create_future()
        self._node.post(node, packet)
        try:
            await asyncio.wait((future,), timeout=min(SUSPECT_S, self._answer_timeout_s))
            if not future.done() and await self._may_live(node):
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
