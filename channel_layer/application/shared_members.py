"""Shared channels as members of groups. No process owns such a channel, so its memberships are kept in Redis, each with an end.

The publish script returns the shared channels of its group, and the process that publishes sends the message to each of them. That is
not one step with the publish: a process that dies in between leaves those channels without the message. docs/protocol/groups.md, P10.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence

from channel_layer.application.capacities import LayerSettings
from channel_layer.application.shared_commands import drop_memberships, groups_command, join_terms, too_many
from channel_layer.application.shared_messages import SharedMessages
from channel_layer.errors import ChannelFull, ChannelLayerError
from channel_layer.node import Node
from channel_layer.process.rate_limited_log import RateLimitedLog
from channel_layer.protocol.events import Event
from channel_layer.redis.connection import Answer, Argument
from channel_layer.redis.rejection_reasons import script_error
from channel_layer.redis.scripts import JOIN_SHARED, Script

log = logging.getLogger("towpath.layer")

#: How many sends of one message are under way at the same time.
SENDS_AT_ONCE = 64


class SharedMembers:
    """The calls of one process about shared channels that are members of groups, on the loop of its node."""

    def __init__(self, node: Node, shared: SharedMessages, counters: Counter[str]) -> None:
        self._node = node
        self._keys = node.context.keys
        self._shared = shared
        self._counters = counters
        self._loop = asyncio.get_running_loop()
        self._failures_log = RateLimitedLog()

    async def add(self, group: str, channel: str, settings: LayerSettings) -> None:
        """Make a channel a member for `group_expiry`. Raises ChannelFull if the group has too many, InvalidName, LayerUnavailable."""
        keys, arguments = join_terms(self._keys, group, channel, settings.group_expiry_ms)
        answer = await self._run(JOIN_SHARED, keys, *arguments)
        if answer == 0:
            raise ChannelFull(too_many(group))
        if answer != 1:
            raise script_error(answer)(f"{channel} was not added to group {group}, as far as is known: {answer}")

    async def discard(self, group: str, channel: str) -> None:
        """End a membership, if there is one. Raises LayerUnavailable."""
        await self._node.execute("ZREM", self._keys.group_channels(group), channel)

    async def flush(self) -> None:
        """End all memberships of shared channels. Raises LayerUnavailable."""
        found = await self._node.execute(*groups_command(self._keys))
        for command in drop_memberships(self._keys, found):
            await self._node.execute(*command)

    async def send(self, channels: Sequence[str], event: Event, settings: LayerSettings) -> None:
        """Send a published message to the shared channels of its group. Raises nothing: what fails is counted."""
        for first in range(0, len(channels), SENDS_AT_ONCE):
            sends = (self._shared.send(channel, event, settings) for channel in channels[first : first + SENDS_AT_ONCE])
            for outcome in await asyncio.gather(*sends, return_exceptions=True):
                if outcome is not None:
                    self._failed(outcome)

    async def _run(self, script: Script, keys: Sequence[str], *arguments: Argument) -> Answer:
        """Run a script. An error is returned as Redis sent it."""
        future: asyncio.Future[Answer] = self._loop.create_future()

        def answered(answer: Answer) -> None:
            if not future.done():
                future.set_result(answer)

        self._node.run_script(script, answered, keys, *arguments)
        return await future

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, ChannelFull):
            self._counters["dropped.channel_full"] += 1
            return
        if not isinstance(error, ChannelLayerError):
            raise error
        self._counters["groups.send_not_confirmed"] += 1
        if times := self._failures_log.count(self._loop.time()):
            text = "a message to a group may not have reached one of its shared channels: %s; %d such since the last such line"
            log.warning(text, error, times)
