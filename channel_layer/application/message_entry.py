"""The fields of a `message` as it stands in an entry of a shared channel."""

from __future__ import annotations

from channel_layer.messaging.entry import Entry
from channel_layer.protocol.events import Event

EVENT, EXPIRY_MS = 3, 4  #: fields of the packet


def event_of(entry: Entry) -> Event:
    """The message itself."""
    event: Event = entry.packet[EVENT]
    return event


def deadline_ms(entry: Entry) -> int:
    """The last moment at which the message is of use, by Redis' clock."""
    expiry_ms: int = entry.packet[EXPIRY_MS]
    return int(entry.entry_id.partition(b"-")[0]) + expiry_ms
