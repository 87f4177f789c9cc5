"""Packets: each constructor gives what the decoder accepts, field by field."""

from __future__ import annotations

import pytest

from channel_layer.protocol import codec, packets
from channel_layer.protocol.link import INTERFACE_SERVER
from channel_layer.protocol.packets import LENGTH_MIN, AdoptionRefusal, Cancel, Close, Kind, Packet

NUMBER, EPOCH = 7, 3
EVENT = {"type": "websocket.send", "text": "hello"}

EACH: dict[Kind, Packet] = {
    Kind.OPEN: packets.open_(NUMBER, EPOCH, [b"scope"], b"body", False, 65_536, 1_234, True, "era", {"state": 1}),
    Kind.ADOPTED: packets.adopted(NUMBER, EPOCH, 65_536),
    Kind.REFUSED: packets.refused(NUMBER, EPOCH, AdoptionRefusal.LATE),
    Kind.DATA: packets.data(NUMBER, EPOCH, 1, [EVENT]),
    Kind.CREDIT: packets.credit(NUMBER, EPOCH, 131_072, 4),
    Kind.CLOSE: packets.close(NUMBER, EPOCH, Close.FINISHED),
    Kind.CANCEL: packets.cancel(NUMBER, EPOCH, Cancel.LEFT),
    Kind.HANDOFF: packets.handoff(NUMBER, EPOCH, 5, 4),
    Kind.SEND: packets.send(NUMBER, EVENT, EPOCH, 2),
    Kind.JOIN: packets.join(NUMBER, EPOCH, "chat", 11, EVENT),
    Kind.LEAVE: packets.leave(NUMBER, EPOCH, "chat", 11),
    Kind.JOINED: packets.joined(NUMBER, EPOCH, 11, True),
    Kind.SYNC: packets.sync(NUMBER, EPOCH, 9, True),
    Kind.PUBLISHED: packets.published(NUMBER, EPOCH, 2, "chat"),
    Kind.MESSAGE: packets.message("specific.0123456789ab", EVENT, 60_000),
    Kind.UNDELIVERABLE: packets.undeliverable(NUMBER, packets.EVERY_TYPE),
    Kind.INVITE: packets.invite(64, 1),
}
#: What the second and the third field are: a message belongs to no connection, and a notice to no epoch.
BEGINNING = dict.fromkeys(Kind, (NUMBER, EPOCH)) | {
    Kind.MESSAGE: ("specific.0123456789ab", 0),
    Kind.UNDELIVERABLE: (NUMBER, 0),
    Kind.INVITE: (0, 0),
}


def test_every_kind_has_a_constructor_and_a_length() -> None:
    """A kind that one of the tables lacks would be refused by every reader."""
    assert set(EACH) == set(LENGTH_MIN) == set(Kind)


@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.name)
def test_a_packet_begins_with_kind_place_and_epoch_and_survives_the_codec(kind: Kind) -> None:
    """What is read is a list of the same shape."""
    packet = EACH[kind]
    assert packet[:3] == (kind, *BEGINNING[kind])
    assert len(packet) >= LENGTH_MIN[kind]
    batch = codec.join_batch(codec.batch_head("node"), [codec.pack(packet)])
    assert codec.unpack_batch(batch) == ("node", [list(packet)])


def test_the_fields_of_an_open_stand_where_the_scripts_and_the_queue_look_for_them() -> None:
    packet = EACH[Kind.OPEN]
    places = (packets.OPEN_WAIT_MS, packets.OPEN_EXPECTS, packets.OPEN_ERA, packets.OPEN_RESUME)
    assert [packet[place] for place in places] == [1_234, True, "era", {"state": 1}]


def test_a_join_has_its_report_behind_what_older_processes_know() -> None:
    assert EACH[Kind.JOIN][packets.JOIN_REPORT] == EVENT
    assert packets.JOIN_REPORT == LENGTH_MIN[Kind.JOIN]


def test_an_open_of_a_new_connection_resumes_nothing() -> None:
    assert packets.open_(NUMBER, 1, [], b"", True, 1_024, 1_000, False, "era")[packets.OPEN_RESUME] is None


def test_a_cancel_without_a_reason_is_a_client_that_vanished() -> None:
    """1006, which no close frame carries: RFC 6455, 7.1.5."""
    assert packets.cancel(NUMBER, EPOCH, Cancel.LEFT)[3:] == (Cancel.LEFT, 1006, "")
    assert packets.cancel(NUMBER, EPOCH, Cancel.LEFT, 1000, "bye")[3:] == (Cancel.LEFT, 1000, "bye")


def test_a_send_from_outside_of_the_instance_names_no_epoch() -> None:
    assert packets.send(NUMBER, EVENT) == (packets.SEND, NUMBER, 0, EVENT, 0)


def test_a_connection_depends_on_its_owner_for_what_it_cannot_go_on_without() -> None:
    """P2. From any other sender these are stale."""
    assert {Kind(kind) for kind in INTERFACE_SERVER.kinds} == {
        Kind.DATA,
        Kind.CREDIT,
        Kind.CLOSE,
        Kind.HANDOFF,
        Kind.SYNC,
    }
