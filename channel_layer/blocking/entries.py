"""The entries of streams that a blocking layer adds: one packet each, encrypted where the deployment encrypts."""

from __future__ import annotations

from channel_layer.encryption.encryption import Encryption
from channel_layer.protocol.codec import batch_head, check_size, join_batch, pack_threadsafe
from channel_layer.protocol.names import BLOCKING_SENDER
from channel_layer.protocol.packets import Packet

_HEAD = batch_head(BLOCKING_SENDER)


class Entries:
    """Makes the entries of one blocking layer. For any thread."""

    __slots__ = ("_encryption",)

    def __init__(self, encryption: Encryption) -> None:
        self._encryption = encryption

    def of(self, key: str, packet: Packet) -> bytes:
        """The entry of the stream `key` for one packet. Raises InvalidMessage, MessageTooLarge."""
        batch = join_batch(_HEAD, [check_size(pack_threadsafe(packet))])
        if not self._encryption.enabled:
            return batch
        self._encryption.refresh_if_due()
        return self._encryption.entry(key, batch)
