"""One entry of a shared channel: a connection that waits for a worker, or a message of an application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from channel_layer.protocol.packets import OPEN_WAIT_MS


@dataclass(slots=True)
class Entry:
    """One `open` or `message` as it was read from a shared channel."""

    entry_id: bytes
    size_bytes: int
    key: tuple[str, int, int]  #: of an `open`: the client's node, the connection's number there, and its epoch
    packet: list[Any]
    claimed: bool = False  #: another process has read it before, or this one and its answer was lost

    @property
    def deadline_ms(self) -> int:
        """The end of the wait of an `open`, by Redis' clock. That of a `message`: application/message_entry.py."""
        wait_ms: int = self.packet[OPEN_WAIT_MS]
        return int(self.entry_id.partition(b"-")[0]) + wait_ms
