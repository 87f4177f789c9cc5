"""Remembers the reply channels that deliver nothing (any more), so that a send to them is an error and costs no command.

The process that owns a channel tells a sender after a message that it had to drop (packet 16, `undeliverable`). So the first such message
is lost and counted there, and the sender of each later one is told. Names of channels are never used again: what is known stays true.
"""

from __future__ import annotations

from channel_layer.errors import ChannelGone, ProtocolError
from channel_layer.protocol.names import reply_channel
from channel_layer.protocol.packets import EVERY_TYPE
from channel_layer.protocol.socket_messages import is_for_clients, misfit

#: The channels that were used longest ago are forgotten beyond so many: their next message is lost, and tells again.
REMEMBERED_MAX = 10_000


class Undeliverable:
    """What one process knows. No I/O."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[
            tuple[str, int, str], None
        ] = {}  # node, number, type of messages; the last used are at the end

    def __len__(self) -> int:
        return len(self._known)

    def add(self, node: str, number: int, kind: str) -> None:
        """Remember what the owner has told. kind: the type of messages, or EVERY_TYPE: the connection is over. Raises ProtocolError."""
        if type(number) is not int or not (kind == EVERY_TYPE or is_for_clients(kind)):
            raise ProtocolError("`undeliverable` holds a number, and a type of messages for clients or an empty text")
        self._known[node, number, kind] = None
        if len(self._known) > REMEMBERED_MAX:
            del self._known[next(iter(self._known))]

    def is_over(self, node: str, number: int) -> bool:
        """True if the connection is known to be over."""
        return self._has((node, number, EVERY_TYPE))

    def check(self, node: str, number: int, kind: str) -> None:
        """Raise ChannelGone if the connection is known to be over, InvalidMessage if it is known to take no message of this type."""
        if not self._known:
            return
        if self.is_over(node, number):
            raise ChannelGone(f"the connection of {reply_channel(node, number)} is over")
        if self._has((node, number, kind)):
            raise misfit(kind, reply_channel(node, number))

    def _has(self, key: tuple[str, int, str]) -> bool:
        if key not in self._known:
            return False
        self._known[key] = self._known.pop(key)
        return True
