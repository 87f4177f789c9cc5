"""Keys: the first encrypts, all decrypt, and a ciphertext belongs to its place."""

from __future__ import annotations

import itertools
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from channel_layer.encryption.keyring import (
    KEY_CHARS_MIN,
    NONCE_BYTES,
    OVERHEAD_BYTES,
    Keyring,
    check_keys,
    parse_key_file,
)
from channel_layer.errors import Undecryptable

OLD = "old key: K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72"
NEW = "new key: 9f86d081884c7d659a2feaa0c55ad015"
NONCE = bytes(range(NONCE_BYTES))


@pytest.mark.parametrize("content", [b"x", b"a batch of packets", bytes(100_000)])
def test_what_is_encrypted_is_decrypted_at_the_same_place(content: bytes) -> None:
    """With a ciphertext that is longer by a constant, since a channel's bytes are counted before."""
    keyring = Keyring([OLD])
    ciphertext = keyring.encrypt("p:inbox:a", content, NONCE)
    assert len(ciphertext) == len(content) + OVERHEAD_BYTES
    assert len(content) < 8 or content not in ciphertext
    assert keyring.decrypt("p:inbox:a", ciphertext) == content


def test_another_place_another_nonce_and_each_changed_byte_are_noticed() -> None:
    """The text does not tell them apart, since the cipher does not."""
    keyring = Keyring([OLD])
    ciphertext = keyring.encrypt("p:inbox:a", b"pay 100", NONCE)
    with pytest.raises(Undecryptable, match="changed, or was encrypted for another place"):
        keyring.decrypt("p:inbox:b", ciphertext)
    for position in range(4, len(ciphertext)):
        changed = bytearray(ciphertext)
        changed[position] ^= 1
        with pytest.raises(Undecryptable, match="changed"):
            keyring.decrypt("p:inbox:a", bytes(changed))


@pytest.mark.parametrize("length", range(OVERHEAD_BYTES))
def test_what_is_shorter_than_any_ciphertext_is_no_ciphertext(length: int) -> None:
    """Also where it begins with the id of a key."""
    keyring = Keyring([OLD])
    with pytest.raises(Undecryptable):
        keyring.decrypt("p:inbox:a", keyring.encrypt("p:inbox:a", b"x", NONCE)[:length])


def test_keys_are_rotated_in_three_steps_and_every_neighbour_reads_the_other() -> None:
    """New second, new first, old gone: processes of two steps that follow each other always decrypt."""
    steps = [Keyring(keys) for keys in ([OLD], [OLD, NEW], [NEW, OLD], [NEW])]
    for before, after in itertools.pairwise(steps):
        assert after.decrypt("k", before.encrypt("k", b"from the old", NONCE)) == b"from the old"
        assert before.decrypt("k", after.encrypt("k", b"from the new", NONCE)) == b"from the new"
    with pytest.raises(Undecryptable, match=f"with the key {steps[-1].ids[0]}, which this process does not have"):
        steps[0].decrypt("k", steps[-1].encrypt("k", b"too early", NONCE))


def test_an_id_names_a_key_and_does_not_contain_it() -> None:
    """Equal for equal keys, in their order."""
    keyring = Keyring([OLD, NEW])
    assert keyring.ids == Keyring([OLD]).ids + Keyring([NEW]).ids
    assert all(re.fullmatch("[0-9a-f]{8}", key_id) for key_id in keyring.ids)
    assert len(set(keyring.ids)) == 2


def test_the_form_is_that_of_the_protocol() -> None:
    """PROTOCOL.md gives this example to authors of other workers."""
    ciphertext = Keyring(["0123456789abcdef0123456789abcdef"]).encrypt(
        "towpath:inbox:worker.ba9876543210", b"\x93", NONCE
    )
    assert ciphertext.hex() == EXAMPLE


#: The id of the key, the nonce, the synthetic IV, and one byte.
EXAMPLE = "9aa633bb000102030405060708090a0b0c0d0e0facbd98b5a170c4bd19b4a4582b84bbadfe"


def test_threads_may_encrypt_and_decrypt_with_one_keyring() -> None:
    """The lease's thread and the loop's do."""
    keyring = Keyring([OLD])

    def there_and_back(number: int) -> bool:
        content = number.to_bytes(4, "big") * 500
        place, nonce = f"p:inbox:{number % 3}", number.to_bytes(NONCE_BYTES, "big")
        return keyring.decrypt(place, keyring.encrypt(place, content, nonce)) == content

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(there_and_back, range(5_000)))


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        (["short"], "key 1 of 1 has 5 characters, and needs at least 32"),
        ([OLD, ""], "key 2 of 2 has 0 characters"),
        ([OLD, "x" * (KEY_CHARS_MIN - 1)], "key 2 of 2 has 31 characters"),
        (["abc" * 20], "repeats a few characters"),
        ([], "at least one key"),
    ],
)
def test_what_could_be_guessed_is_no_key(keys: list[str], why: str) -> None:
    """The sentence never contains the key: it ends up in logs."""
    with pytest.raises(ValueError, match=why) as caught:
        Keyring(keys)
    assert not [key for key in keys if key and key in str(caught.value)]


def test_any_text_of_some_length_is_a_key() -> None:
    """Base64, hexadecimal, a passphrase, other scripts."""
    check_keys([OLD, NEW, "correct horse battery staple and more", "ключ-от-квартиры-где-деньги-лежат"])


def test_a_file_has_one_key_per_line() -> None:
    """White space around a key, empty lines and either end of a line do not count."""
    assert parse_key_file(f"{NEW}\n{OLD}\n") == (NEW, OLD)
    assert parse_key_file(f"\n  {NEW}  \r\n\n{OLD}") == (NEW, OLD)


@pytest.mark.parametrize(("text", "why"), [("", "no key"), (" \n\n", "no key"), ("short\n", "5 characters")])
def test_a_file_without_a_good_key_is_refused(text: str, why: str) -> None:
    """In one sentence."""
    with pytest.raises(ValueError, match=why):
        parse_key_file(text)
