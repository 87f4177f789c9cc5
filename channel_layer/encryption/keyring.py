"""The keys of one deployment: the first encrypts, all decrypt. AES-SIV (RFC 5297) by `cryptography`; no other file knows that.

* A ciphertext is the id of its key, a nonce, and the output of AES-SIV, which also authenticates it. It is bound to its place, the
  name of a key in Redis: in any other place it cannot be decrypted.
* AES-SIV keeps no state and survives a repeated nonce, so processes, threads and forks may share a key for as long as they like
  (decisions/0028).
* A key is any text that is long enough. Its cipher and its id are derived from it by HKDF; an id is no secret.

No randomness: the caller passes the nonce. PROTOCOL.md, "Encryption".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from channel_layer.errors import Undecryptable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

KEY_CHARS_MIN = 32
DISTINCT_CHARS_MIN = 8
ID_BYTES = 4
NONCE_BYTES = 16
#: So many bytes a ciphertext is longer than its plaintext: id, nonce, and the synthetic IV of AES-SIV.
OVERHEAD_BYTES = ID_BYTES + NONCE_BYTES + 16

_CIPHER_KEY_BYTES = 64  # AES-256, twice: one half authenticates, the other encrypts
_HKDF_INFO = b"towpath 1 AES-SIV"  # another cipher gets another text, and so other ids


class Keyring:
    """The ciphers of one or more keys. Raises ValueError with one sentence for a key that is none."""

    __slots__ = ("_by_id", "_cipher", "_id", "ids")

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise ValueError("encryption needs at least one key")
        check_keys(keys)
        derived = [_derived(key) for key in keys]
        self._id, self._cipher = derived[0]
        self._by_id = dict(reversed(derived))  # of two keys with one id the earlier one counts
        #: The ids of the keys in hexadecimal, in their order. Leases show them.
        self.ids = tuple(key_id.hex() for key_id, _ in derived)

    def encrypt(self, place: str, content: bytes, nonce: bytes) -> bytes:
        """The ciphertext of `content` for one place. nonce: NONCE_BYTES random bytes."""
        return self._id + nonce + self._cipher.encrypt(content, [place.encode(), nonce])

    def decrypt(self, place: str, ciphertext: bytes) -> bytes:
        """The content of a ciphertext that was found at `place`. Raises Undecryptable."""
        from cryptography.exceptions import InvalidTag

        key_id, nonce = ciphertext[:ID_BYTES], ciphertext[ID_BYTES : ID_BYTES + NONCE_BYTES]
        cipher = self._by_id.get(key_id)
        if cipher is None:
            raise Undecryptable(f"it is encrypted with the key {key_id.hex()}, which this process does not have")
        try:
            return cipher.decrypt(ciphertext[ID_BYTES + NONCE_BYTES :], [place.encode(), nonce])
        except (InvalidTag, ValueError) as error:  # ValueError: shorter than any ciphertext
            raise Undecryptable("it was changed, or was encrypted for another place") from error


def check_keys(keys: Sequence[str]) -> None:
    """Raise ValueError with one sentence if a text cannot be a key. The sentence does not contain the text."""
    for number, key in enumerate(keys, 1):
        if len(key) < KEY_CHARS_MIN:
            raise ValueError(
                f"encryption key {number} of {len(keys)} has {len(key)} characters, and needs at least {KEY_CHARS_MIN}: "
                "`openssl rand -base64 32` makes a good one"
            )
        if len(set(key)) < DISTINCT_CHARS_MIN:
            raise ValueError(f"encryption key {number} of {len(keys)} repeats a few characters, and could be guessed")


def parse_key_file(text: str) -> tuple[str, ...]:
    """The keys in a text with one per line; white space around them and empty lines do not count. Raises ValueError."""
    keys = tuple(filter(None, map(str.strip, text.splitlines())))
    if not keys:
        raise ValueError("it has no key: one per line is needed")
    check_keys(keys)
    return keys


def _derived(key: str) -> tuple[bytes, AESSIV]:
    """Id and cipher of one key."""
    # Here, so that processes without keys do not load the library.
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    length = _CIPHER_KEY_BYTES + ID_BYTES
    derived = HKDF(algorithm=SHA256(), length=length, salt=None, info=_HKDF_INFO).derive(key.encode())
    return derived[_CIPHER_KEY_BYTES:], AESSIV(derived[:_CIPHER_KEY_BYTES])
