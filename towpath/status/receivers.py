"""The receivers of each shared channel: background workers as their leases say, other processes as Redis knows them.

A background worker receives from its channels also while it is busy. Any other process counts if it has read within the last 30 s;
all blocking clients together count as one, because they read under one name. No I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from channel_layer.protocol.keys import CHANNEL_OF_KIND
from channel_layer.protocol.names import BLOCKING_ROLE
from worker.background.channel_names import ChannelNames

#: The fields of a background worker's lease with the shared channels that it receives from, with spaces between, and with the one
#: for messages that failed.
CHANNELS, DEAD_LETTER = "channels", "dead_letter"
ROLE_OF_CONNECTIONS = "worker"
#: A reader that nobody needs ends after so long: application/shared_messages.py.
READS_WITHIN_MS = 30_000


class Receivers:
    """The receivers at one moment."""

    def __init__(self, leases: Sequence[Mapping[str, Any]]) -> None:
        """leases: of all living processes; they may contain anything."""
        self._nodes = {str(lease["node"]) for lease in leases}
        self._workers = {str(lease["node"]) for lease in leases if lease.get("role") == ROLE_OF_CONNECTIONS}
        self._background = {
            str(lease["node"]): ChannelNames(str(lease[CHANNELS]).split(), str(lease.get(DEAD_LETTER) or ""))
            for lease in leases
            if lease.get(CHANNELS)
        }
        #: Channels for messages that failed.
        self.dead_letters = {str(lease[DEAD_LETTER]) for lease in leases if lease.get(DEAD_LETTER)}

    @property
    def named(self) -> list[str]:
        """The channels that leases name. Those that only a pattern matches are found by what waits there."""
        return sorted({name for names in self._background.values() for name in names.fixed} | self.dead_letters)

    def count(self, channel: str, consumers: Iterable[Mapping[str, Any]]) -> int:
        """How many processes receive from a channel. consumers: of its stream, as Redis lists them."""
        if channel in CHANNEL_OF_KIND.values():
            return len(self._workers)
        background = {
            node for node, names in self._background.items() if channel in names.fixed or names.matches(channel)
        }
        readers = {
            consumer["name"].decode(errors="replace") for consumer in consumers if consumer["idle"] < READS_WITHIN_MS
        }
        return len(background | readers & (self._nodes | {BLOCKING_ROLE}))
