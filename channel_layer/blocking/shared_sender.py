"""Sends messages to shared channels of applications, each by one call of the script `send`.

On the way of each send: so what depends on the channel alone is found and packed once, for the channels that were used last.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import NamedTuple

from channel_layer.application.capacities import LayerSettings
from channel_layer.application.shared_commands import check_shared, send_terms
from channel_layer.blocking.commands import Commands
from channel_layer.blocking.entries import Entries
from channel_layer.blocking.script_call import ScriptCall
from channel_layer.errors import ChannelFull
from channel_layer.protocol import packets
from channel_layer.protocol.events import Event
from channel_layer.protocol.keys import Keys
from channel_layer.redis.scripts import SEND

#: Of so many channels it is kept, in half a KiB each.
REMEMBERED_MAX = 1_024


class Terms(NamedTuple):
    """What all sends to one channel have in common."""

    stream: str
    call: ScriptCall
    full: str  #: the text of the error of a channel that takes no further message


class SharedSender:
    """Sends for one blocking layer. For any thread."""

    __slots__ = ("_commands", "_entries", "_expiry_ms", "_terms_of")

    def __init__(
        self, commands: Commands, keys: Keys, entries: Entries, settings: LayerSettings, size_bytes_max: int
    ) -> None:
        """size_bytes_max: the bytes that a channel holds."""
        self._commands = commands
        self._entries = entries
        self._expiry_ms = settings.expiry_ms
        self._terms_of = lru_cache(REMEMBERED_MAX)(partial(_terms, keys, settings, size_bytes_max))

    def send(self, channel: str, message: Event) -> None:
        """Send one message. Raises InvalidName, InvalidMessage, MessageTooLarge; ChannelFull; NothingSent, LayerUnavailable."""
        stream, call, full = self._terms_of(channel)
        (added,) = self._commands.run(call, self._entries.of(stream, packets.message("", message, self._expiry_ms)))
        if not added:
            raise ChannelFull(full)


def _terms(keys: Keys, settings: LayerSettings, size_bytes_max: int, channel: str) -> Terms:
    capacity = settings.capacities.of(check_shared(channel))
    terms = send_terms(keys, channel, capacity, size_bytes_max, settings.expiry_ms)
    return Terms(terms.keys[0], ScriptCall(SEND, terms.keys, terms.limits), terms.full)
