"""The channel layer as Django Channels 4 calls it, over the layer of this process.

Source: Channels' "Channel Layer Specification". Names are checked by Channels' own base class, and errors are its own. Three rules
are Towpath's: a message for a channel that has ended is dropped, as one that is not received in time; a message with a value of a
wrong type raises TypeError; without Redis each call raises LayerUnavailable.
"""

from __future__ import annotations

import logging
from functools import cached_property
from typing import Any

from channels.exceptions import ChannelFull, InvalidChannelLayerError, MessageTooLarge
from channels.layers import BaseChannelLayer

from channel_layer import errors
from channel_layer.channels.config import ChannelsConfig
from channel_layer.channels.layers import check, layer_for
from channel_layer.channels.wrapping import unwrapped, wrapped
from channel_layer.layer import NEW_CHANNEL_PREFIX, ChannelLayer

log = logging.getLogger("towpath.channels")

Message = dict[str, Any]
#: Errors that Channels has names for.
KNOWN = (errors.ChannelFull, errors.InvalidMessage)


class UnfitMessage(errors.InvalidMessage, TypeError):
    """A message is no dict of the types that it may have; the text names the path of the value. A caller's bug."""


class UnfitName(errors.InvalidName, TypeError):
    """A name that Channels allows and Towpath does not. A caller's bug."""


class RedisChannelLayer(BaseChannelLayer):  # type: ignore[misc]  # Channels brings no types
    """One alias of CHANNEL_LAYERS. Aliases for one Redis and prefix share channels, groups and connections."""

    extensions = ("groups", "flush")

    def __init__(self, **options: Any) -> None:
        """options: CONFIG, as docs/from-channels-redis.md lists it. Connects at the first call, and not here.

        Raises InvalidChannelLayerError with one sentence for options that cannot be kept.
        """
        try:
            self._config = config = ChannelsConfig.of(options)
            check(config)
        except ValueError as error:
            raise InvalidChannelLayerError(str(error)) from error
        super().__init__(expiry=config.expiry_s, capacity=config.capacity)
        self.channel_capacity = self.compile_capacities(dict(config.channel_capacity))
        self.group_expiry = config.group_expiry_s
        if config.without_effect:
            log.info("CHANNEL_LAYERS: no effect here: %s", ", ".join(sorted(config.without_effect)))

    @cached_property
    def layer(self) -> ChannelLayer:
        """The layer below. Found at the first call: a worker loads the application before it has one."""
        return layer_for(self._config)

    async def send(self, channel: str, message: Message) -> None:
        """Send `message` to one channel. Raises TypeError, ChannelFull, MessageTooLarge, LayerUnavailable. See `ChannelLayer.send`."""
        self.require_valid_channel_name(channel)
        try:
            await self.layer.send(channel, wrapped(message))
        except errors.ChannelGone:
            pass  # no receiver will ever come: to Channels that is a message that expires
        except KNOWN as error:
            raise _of_channels(error) from error

    async def receive(self, channel: str) -> Message:
        """The next message of a channel. May be cancelled at any moment without a loss. See `ChannelLayer.receive`."""
        self.require_valid_channel_name(channel)
        try:
            return unwrapped(await self.layer.receive(channel))
        except KNOWN as error:
            raise _of_channels(error) from error

    async def new_channel(self, prefix: str = NEW_CHANNEL_PREFIX) -> str:
        """Make a channel of this process. See `ChannelLayer.new_channel`."""
        try:
            return await self.layer.new_channel(prefix.rstrip("."))
        except KNOWN as error:
            raise _of_channels(error) from error

    async def group_add(self, group: str, channel: str) -> None:
        """Make a channel a member of a group. See `ChannelLayer.group_add`."""
        self.require_valid_group_name(group)
        self.require_valid_channel_name(channel)
        try:
            await self.layer.group_add(group, channel)
        except KNOWN as error:
            raise _of_channels(error) from error

    async def group_discard(self, group: str, channel: str) -> None:
        """End a membership, if there is one. See `ChannelLayer.group_discard`."""
        self.require_valid_group_name(group)
        self.require_valid_channel_name(channel)
        try:
            await self.layer.group_discard(group, channel)
        except KNOWN as error:
            raise _of_channels(error) from error

    async def group_send(self, group: str, message: Message) -> None:
        """Send `message` to all members of a group. Never raises ChannelFull. See `ChannelLayer.group_send`."""
        self.require_valid_group_name(group)
        try:
            await self.layer.group_send(group, wrapped(message))
        except KNOWN as error:
            raise _of_channels(error) from error

    async def flush(self) -> None:
        """Drop all messages and memberships that this process can reach. See `ChannelLayer.flush`."""
        await self.layer.flush()

    async def close_pools(self) -> None:
        """Do nothing: connections belong to the process, and not to an event loop that may end."""

    async def close(self) -> None:
        """End the connections, and the channels that were made over them; a later call connects again. In a worker: do nothing."""
        await self.layer.home.close()  # not the layer itself, which would stay closed


def _of_channels(error: errors.ChannelLayerError) -> Exception:
    """The exception by which Channels' users know `error`."""
    if isinstance(error, errors.ChannelFull):
        return ChannelFull(str(error))  # type: ignore[no-any-return]  # Channels brings no types
    if isinstance(error, errors.MessageTooLarge):
        return MessageTooLarge(str(error))  # type: ignore[no-any-return]  # Channels brings no types
    return UnfitName(str(error)) if isinstance(error, errors.InvalidName) else UnfitMessage(str(error))
