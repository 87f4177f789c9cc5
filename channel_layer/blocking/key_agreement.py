"""Refuses a connection to a deployment whose processes this one cannot decrypt, or that cannot decrypt what it would send.

A blocking layer has no lease, so nothing checks it but itself: at each new connection it reads the leases of the others. Unlike a
process that starts (liveness/key_agreement.py) it does not wait until the lease of a dead process would be over; the call may be
made again.
"""

from __future__ import annotations

from channel_layer.encryption.agreement import disagreement
from channel_layer.encryption.encryption import Encryption
from channel_layer.errors import EncryptionMismatch
from channel_layer.protocol.keys import Keys
from channel_layer.redis.blocking.connection import BlockingConnection, accepted


class KeyAgreement:
    """Compares the encryption keys of one blocking layer with those of the deployment. For any thread."""

    __slots__ = ("_encryption", "_keys")

    def __init__(self, keys: Keys, encryption: Encryption) -> None:
        self._keys = keys
        self._encryption = encryption

    def check(self, connection: BlockingConnection) -> None:
        """Raise EncryptionMismatch if another process has other keys; LayerUnavailable, hiredis.ReplyError if Redis does not tell."""
        names = [name.decode(errors="replace") for name in accepted(connection.call("ZRANGE", self._keys.nodes, 0, -1))]
        if not names:
            return
        keys = list(map(self._keys.lease, names))
        leases = accepted(connection.call("MGET", *keys))
        facts = {
            name: known
            for name, key, lease in zip(names, keys, leases, strict=True)
            if lease is not None and (known := self._encryption.lease_facts(key, lease)) is not None
        }
        if why := disagreement(self._encryption.key_ids, facts, self._keys.prefix):
            raise EncryptionMismatch(why)
