"""Encrypts and decrypts what one process exchanges by Redis: batches, messages to groups, news, and leases.

Each has its own form on the wire, and each is bound to its place, the key or the pub/sub channel in Redis. A process without keys
does neither, and pays nothing; what it cannot read for lack of a key it drops and counts, as a process with other keys does.
PROTOCOL.md, "Encryption".
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from channel_layer.encryption.agreement import KEY_IDS
from channel_layer.encryption.key_file import KeyFile
from channel_layer.encryption.keyring import NONCE_BYTES, OVERHEAD_BYTES, Keyring
from channel_layer.errors import ProtocolError, Undecryptable
from channel_layer.process.rate_limited_log import RateLimitedLog
from channel_layer.protocol.codec import is_encrypted_batch, join_batch, pack_threadsafe, unpack, unpack_batch
from channel_layer.settings import RedisSettings

log = logging.getLogger("towpath.encryption")

Batch = tuple[str, list[list[Any]]]

#: The head of a msgpack bin of any size; always this one, so that an entry's size is known before it is encrypted.
_BIN_32 = b"\xc6"
#: How often `refresh_if_due` looks at the key file.
REFRESH_INTERVAL_S = 1.0
#: So many bytes longer is an encrypted entry of one batch than that batch.
ENTRY_OVERHEAD_BYTES = 3 + 5 + OVERHEAD_BYTES
#: The fields of an encrypted lease: two that every process may read, the ids of the keys (KEY_IDS), and the rest.
OPEN_FIELDS = ("role", "version")
CIPHERTEXT = "encrypted"

NOT_ENCRYPTED = "it is not encrypted, and this process has encryption keys"


class Encryption:
    """The encryption of one process. Its methods may be called from any thread, except `refresh` itself."""

    def __init__(self, keyring: Keyring | None = None, key_file: KeyFile | None = None) -> None:
        self._keyring = keyring
        self._key_file = key_file
        self.enabled = keyring is not None  #: never changes
        self.undecryptable = 0  #: how often something was dropped that could not be decrypted
        self._undecryptable_log = RateLimitedLog()
        self._refresh_log = RateLimitedLog()
        self._refresh_due = -math.inf if key_file else math.inf  # monotonic

    @classmethod
    def of(cls, settings: RedisSettings) -> Encryption:
        """With the keys of these settings, if they have any. Raises ValueError with one sentence for keys that cannot be used."""
        if not settings.encryption_key_file:
            return cls(Keyring(settings.encryption_keys) if settings.encryption_keys else None)
        if settings.encryption_keys:
            raise ValueError("encryption keys and a file of encryption keys are given: one of the two is enough")
        key_file = KeyFile(settings.encryption_key_file)
        return cls(Keyring(key_file.read()), key_file)

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of the keys, in their order; empty without keys."""
        return self._keyring.ids if self._keyring is not None else ()

    def refresh(self) -> None:
        """Take up the keys of the key file if it has changed. If it cannot be used, the keys stay as they are."""
        if self._key_file is None:
            return
        try:
            keys = self._key_file.read_changed()
        except ValueError as error:
            if self._refresh_log.count(time.monotonic()):
                log.warning("the encryption keys stay as they are: %s", error)
            return
        if keys is not None and self.key_ids != (keyring := Keyring(keys)).ids:
            self._keyring = keyring
            log.info(
                "encrypts with the key %s from now on, and decrypts with %s", keyring.ids[0], ", ".join(keyring.ids)
            )

    def refresh_if_due(self) -> None:
        """Refresh, if that was not done for a second: for a process without a timer, and from any thread, as two do the same."""
        if (now := time.monotonic()) >= self._refresh_due:
            self._refresh_due = now + REFRESH_INTERVAL_S
            self.refresh()

    def report(self, what: str, error: Undecryptable) -> None:
        """Count something that was dropped, since it could not be decrypted. Logged at once, and then each minute."""
        self.undecryptable += 1
        if times := self._undecryptable_log.count(time.monotonic()):
            log.warning("dropped %s: %s; %d such since the last such line", what, error, times)

    # -- batches

    def entry(self, key: str, batch: bytes) -> bytes:
        """The entry of the stream `key` for one batch. ENTRY_OVERHEAD_BYTES longer than that."""
        return join_batch(b"", [self.element(key, batch)])

    def element(self, key: str, batch: bytes) -> bytes:
        """One encrypted batch. An array 16 of such elements is an entry; so the take script can join them."""
        return self._bin(self._encrypt(key, batch))

    def batch_reader(self, key: str) -> Callable[[bytes], Batch]:
        """The function that reads the entries of the stream `key`: (sender, packets). It raises ProtocolError, Undecryptable."""
        return partial(self._unpack_batch, key) if self.enabled else unpack_batch

    def _unpack_batch(self, key: str, entry: bytes) -> Batch:
        elements = unpack(entry)
        if not is_encrypted_batch(elements):
            raise Undecryptable(NOT_ENCRYPTED)
        sender, packets = unpack_batch(self._decrypt(key, elements[0]))
        for element in elements[1:]:
            other, more = unpack_batch(self._decrypt(key, element))
            if other != sender:
                raise ProtocolError("not a batch: it has two senders")
            packets += more
        return sender, packets

    # -- what is published

    def published(self, channel: str, packed: bytes) -> bytes:
        """The packed value in the form in which it is published on `channel`."""
        return self._bin(self._encrypt(channel, packed)) if self.enabled else packed

    def value(self, channel: str, published: Any) -> Any:
        """The value of something that was published on `channel`, from its unpacked form. Raises ProtocolError, Undecryptable.

        Without keys it need be called only for what is no value of the kind that is expected there.
        """
        if not self.enabled:
            if type(published) is bytes:
                raise Undecryptable("it is encrypted, and this process has no encryption key")
            return published
        return unpack(self._decrypt(channel, published))

    # -- leases

    def lease(self, key: str, facts: dict[str, Any]) -> bytes:
        """The content of the lease `key`."""
        if self._keyring is None:
            return pack_threadsafe(facts)
        readable = {field: facts[field] for field in OPEN_FIELDS if field in facts}
        hidden = pack_threadsafe({field: value for field, value in facts.items() if field not in OPEN_FIELDS})
        ids = list(self._keyring.ids)
        return pack_threadsafe({**readable, KEY_IDS: ids, CIPHERTEXT: self._encrypt(key, hidden)})

    def lease_facts(self, key: str, lease: bytes) -> dict[str, Any] | None:
        """What the lease `key` contains, as far as this process can decrypt and may believe it; None if it is no map."""
        try:
            facts = unpack(lease)
        except ProtocolError:
            return None
        if not isinstance(facts, dict):
            return None
        if not self.enabled:
            return facts
        try:
            hidden = unpack(self._decrypt(key, facts.get(CIPHERTEXT)))
        except ProtocolError:
            hidden = {}
        readable = {field: facts[field] for field in (*OPEN_FIELDS, KEY_IDS) if field in facts}
        return {**hidden, **readable} if isinstance(hidden, dict) else readable

    # --

    def _encrypt(self, place: str, content: bytes) -> bytes:
        assert self._keyring is not None
        return self._keyring.encrypt(place, content, os.urandom(NONCE_BYTES))

    def _decrypt(self, place: str, ciphertext: Any) -> bytes:
        assert self._keyring is not None
        if type(ciphertext) is not bytes:
            raise Undecryptable(NOT_ENCRYPTED)
        return self._keyring.decrypt(place, ciphertext)

    @staticmethod
    def _bin(ciphertext: bytes) -> bytes:
        return b"".join((_BIN_32, len(ciphertext).to_bytes(4, "big"), ciphertext))
