"""One entry of a shared channel: a connection that waits for a worker, or a message of an application. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from channel_layer.errors import ProtocolError
from channel_layer.protocol.events import Event
from channel_layer.protocol.packets import MESSAGE, OPEN, OPEN_WAIT_MS

#: By the kind of the one packet that each entry of a channel carries, the types of its next fields. `open`: number, epoch, pieces of
#: the scope, first body, more, window, wait in ms. `message`: local part, 0, event, expiry in ms.
FIELD_TYPES: Final = {OPEN: (int, int, list, bytes, bool, int, int), MESSAGE: (str, int, dict, int)}
MESSAGE_EVENT: Final = 3
MESSAGE_EXPIRY_MS: Final = 4  #: positions of fields
#: The position of the field that says how long the entry is of use, in ms.
WAIT_MS: Final = {OPEN: OPEN_WAIT_MS, MESSAGE: MESSAGE_EXPIRY_MS}


@dataclass(slots=True)
class Entry:
    """One `open` or `message` as it was read from a shared channel."""

    entry_id: bytes
    size_bytes: int
    #: Of an `open`: the client's node, the connection's number there, and its epoch. Of a `message` the second is a local part.
    key: tuple[str, Any, int]
    packet: list[Any]
    claimed: bool = False  #: another process has read it before, or this one and its answer was lost

    @classmethod
    def of(
        cls, entry_id: bytes, size_bytes: int, batch: tuple[str, list[list[Any]]], kind: int, claimed: bool = False
    ) -> Entry:
        """The entry with this batch. Raises ProtocolError unless that is one packet of `kind`, with fields of the right types."""
        sender, packets = batch
        packet: list[Any] = packets[0] if len(packets) == 1 else [None]
        if packet[0] != kind or tuple(map(type, packet[1 : 1 + len(FIELD_TYPES[kind])])) != FIELD_TYPES[kind]:
            raise ProtocolError(f"an entry of this channel carries one packet of kind {kind}")
        if kind == MESSAGE and not isinstance(packet[MESSAGE_EVENT].get("type"), str):
            raise ProtocolError("a message is a map with a type")
        return cls(entry_id, size_bytes, (sender, packet[1], packet[2]), packet, claimed)

    @property
    def deadline_ms(self) -> int:
        """The last moment at which it is of use, by Redis' clock."""
        wait_ms: int = self.packet[WAIT_MS[self.packet[0]]]
        return int(self.entry_id.partition(b"-")[0]) + wait_ms

    @property
    def event(self) -> Event:
        """The message itself, of a `message`."""
        event: Event = self.packet[MESSAGE_EVENT]
        return event
