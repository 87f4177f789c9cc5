"""The forms of what is encrypted: batches, published values, leases; and what a process makes of others' bytes."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import msgpack
import pytest

from channel_layer.encryption.encryption import ENTRY_OVERHEAD_BYTES, Encryption
from channel_layer.encryption.keyring import Keyring
from channel_layer.errors import ProtocolError, Undecryptable
from channel_layer.protocol import packets
from channel_layer.protocol.codec import batch_head, join_batch, pack, unpack
from channel_layer.settings import RedisSettings

ONE = "one: K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72"
TWO = "two: 9f86d081884c7d659a2feaa0c55ad0159"
INBOX = "p:inbox:interface.0123456789ab"
FACTS = {"role": "worker", "version": 1, "host": "secret-host", "pid": 7, "app": "shop:app"}


def encryption(*keys: str) -> Encryption:
    return Encryption(Keyring(keys) if keys else None)


def batch(*sent: packets.Packet, sender: str = "worker.0123456789ab") -> bytes:
    return join_batch(batch_head(sender), [pack(packet) for packet in sent])


@pytest.mark.parametrize("size", [0, 200, 300, 70_000])
def test_an_entry_is_longer_than_its_batch_by_a_constant(size: int) -> None:
    """So a channel's bytes can be counted before."""
    plain = batch(packets.send(1, {"type": "websocket.send", "bytes": bytes(size)}))
    entry = encryption(ONE).entry(INBOX, plain)
    assert len(entry) == len(plain) + ENTRY_OVERHEAD_BYTES
    assert encryption(ONE).batch_reader(INBOX)(entry) == encryption().batch_reader(INBOX)(plain)


def test_an_entry_of_several_batches_is_one_batch() -> None:
    """The take script joins elements as it joins packets: an array 16 of them."""
    one = encryption(ONE)
    elements = [one.element(INBOX, batch(packets.adopted(number, 1, 9))) for number in (1, 2, 3)]
    sender, found = one.batch_reader(INBOX)(join_batch(b"", elements))
    assert sender == "worker.0123456789ab"
    assert found == [[2, 1, 1, 9], [2, 2, 1, 9], [2, 3, 1, 9]]
    elements[1] = one.element(INBOX, batch(packets.adopted(2, 1, 9), sender="worker.00000000ffff"))
    with pytest.raises(ProtocolError, match="two senders"):
        one.batch_reader(INBOX)(join_batch(b"", elements))


@pytest.mark.parametrize(
    ("writer", "reader", "place", "why"),
    [
        ([ONE], [], INBOX, "is encrypted, and this process has no encryption key"),
        ([], [ONE], INBOX, "is not encrypted, and this process has encryption keys"),
        ([ONE], [TWO], INBOX, "with the key .*, which this process does not have"),
        ([ONE], [ONE], "p:inbox:another", "changed, or was encrypted for another place"),
    ],
)
def test_a_batch_that_cannot_be_decrypted_says_why(writer: list[str], reader: list[str], place: str, why: str) -> None:
    """Whoever is to blame, and also where the take script has joined three of them."""
    plain = batch(packets.adopted(1, 1, 9))
    its = encryption(*writer)
    entries = [its.entry(INBOX, plain), join_batch(b"", [its.element(INBOX, plain)] * 3)] if writer else [plain]
    for entry in entries:
        with pytest.raises(Undecryptable, match=why):
            encryption(*reader).batch_reader(place)(entry)


@pytest.mark.parametrize(
    "nonsense", [b"", b"\xc1", b"\x00" * 40, b"\xdc\x00\x00", b"\xdc\x00\x01\xc0", pack({"a": 1}), b"\x93\x01"]
)
@pytest.mark.parametrize("keys", [[], [ONE]])
def test_nonsense_in_an_inbox_is_a_protocol_error(nonsense: bytes, keys: list[str]) -> None:
    """And ends no reader."""
    with pytest.raises(ProtocolError):
        encryption(*keys).batch_reader(INBOX)(nonsense)


def test_a_published_value_is_a_bin_in_the_place_of_the_value() -> None:
    """Bound to its channel. A process without keys passes on what is none, and only that."""
    one, event = encryption(ONE), {"type": "websocket.send", "text": "secret"}
    published = one.published("p:group:0:chat", pack(event))
    assert b"secret" not in published
    assert type(unpack(published)) is bytes
    assert one.value("p:group:0:chat", unpack(published)) == event
    assert encryption().published("p:group:0:chat", pack(event)) == pack(event)
    assert encryption().value("p:group:0:chat", event) == event
    for reader, channel, value in (
        (one, "p:group:0:other", unpack(published)),
        (one, "p:group:0:chat", event),
        (one, "p:group:0:chat", b""),
        (encryption(TWO), "p:group:0:chat", unpack(published)),
        (encryption(), "p:group:0:chat", unpack(published)),
    ):
        with pytest.raises(Undecryptable):
            reader.value(channel, value)


def test_a_lease_shows_role_version_and_key_ids_and_hides_the_rest() -> None:
    """To processes of the deployment it is whole."""
    one = encryption(ONE, TWO)
    lease = one.lease("p:node:a", FACTS)
    shown = unpack(lease)
    assert {name: shown[name] for name in ("role", "version", "encryption")} == {
        "role": "worker",
        "version": 1,
        "encryption": list(one.key_ids),
    }
    assert shown.keys() == {"role", "version", "encryption", "encrypted"}
    assert b"secret-host" not in lease and b"shop" not in lease
    assert one.lease_facts("p:node:a", lease) == {**FACTS, "encryption": list(one.key_ids)}
    assert encryption().lease_facts("p:node:a", lease) == shown


@pytest.mark.parametrize("keys", [[TWO], [ONE]])
def test_of_a_lease_that_cannot_be_decrypted_only_the_readable_fields_count(keys: list[str]) -> None:
    """It has another key, was moved, or is forged: what it names besides is not believed."""
    lease = msgpack.packb({**unpack(encryption(ONE).lease("p:node:a", FACTS)), "app": "forged:app", "pid": 1})
    found = encryption(*keys).lease_facts("p:node:b", lease)
    assert found == {"role": "worker", "version": 1, "encryption": list(encryption(ONE).key_ids)}
    assert encryption(ONE).lease_facts("p:node:a", pack(FACTS)) == {"role": "worker", "version": 1}


@pytest.mark.parametrize("lease", [b"", b"\xc1", pack(7), pack([1])])
def test_a_lease_that_is_no_map_has_no_facts(lease: bytes) -> None:
    """With keys and without."""
    assert encryption().lease_facts("k", lease) is None
    assert encryption(ONE).lease_facts("k", lease) is None


def test_without_keys_a_lease_is_what_it_was() -> None:
    """Byte by byte."""
    assert encryption().lease("k", FACTS) == pack(FACTS)
    assert encryption().lease_facts("k", pack(FACTS)) == FACTS


def test_what_is_dropped_is_counted_and_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """One sentence, however many there are."""
    one = encryption(ONE)
    for _ in range(100):
        one.report("an entry of the inbox", Undecryptable("it is not encrypted"))
    assert one.undecryptable == 100
    assert [record.getMessage() for record in caplog.records] == [
        "dropped an entry of the inbox: it is not encrypted; 1 such since the last such line"
    ]


def settings(**of: Any) -> RedisSettings:
    return RedisSettings(**of)


def test_keys_come_from_the_settings_or_from_a_file_but_not_from_both(tmp_path: Path) -> None:
    """And never into a text that shows the settings."""
    (path := tmp_path / "keys").write_text(f"{ONE}\n{TWO}\n")
    given, in_file = settings(encryption_keys=(ONE, TWO)), settings(encryption_key_file=str(path))
    assert Encryption.of(given).key_ids == Encryption.of(in_file).key_ids == encryption(ONE, TWO).key_ids
    assert not Encryption.of(settings()).enabled
    assert ONE not in repr(given)
    with pytest.raises(ValueError, match="one of the two is enough"):
        Encryption.of(settings(encryption_keys=(ONE,), encryption_key_file=str(path)))
    with pytest.raises(ValueError, match="needs at least 32"):
        Encryption.of(settings(encryption_keys=("short",)))
    with pytest.raises(ValueError, match="cannot be used"):
        Encryption.of(settings(encryption_key_file=str(tmp_path / "missing")))


def test_a_changed_file_changes_the_keys_and_a_bad_one_does_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Both are logged: the ids of the keys, and why they stay."""
    caplog.set_level(logging.INFO)
    (path := tmp_path / "keys").write_text(ONE)
    one = Encryption.of(settings(encryption_key_file=str(path)))
    reader = one.batch_reader(INBOX)
    entry = encryption(TWO).entry(INBOX, batch(packets.adopted(1, 1, 9)))
    path.write_text(f"{TWO}\n{ONE}\n")
    one.refresh()
    assert one.key_ids == encryption(ONE).key_ids
    one.refresh()
    assert one.key_ids == encryption(TWO, ONE).key_ids
    assert reader(entry)[0] == "worker.0123456789ab", "who had it before reads with the new keys"
    path.write_text("short")
    for _ in range(3):
        one.refresh()
    assert one.key_ids == encryption(TWO, ONE).key_ids
    texts = [record.getMessage() for record in caplog.records]
    assert texts[0] == "encrypts with the key {} from now on, and decrypts with {}, {}".format(
        encryption(TWO).key_ids[0], *encryption(TWO, ONE).key_ids
    )
    assert texts[1].startswith("the encryption keys stay as they are: ") and len(texts) == 2
