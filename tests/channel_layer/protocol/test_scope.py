"""Scopes in pieces: what was put in comes out, and belongs to one application instance alone."""

from __future__ import annotations

from typing import Any

import pytest

from channel_layer.errors import ProtocolError
from channel_layer.protocol.codec import pack
from channel_layer.protocol.packets import MALFORMED
from channel_layer.protocol.scope import REMEMBERED_MAX, REMEMBERED_SIZE_BYTES_MAX, Scope, ScopeReader
from interface_server.http.request import Head
from interface_server.http.scope import ScopeBuilder
from interface_server.http1.head import check_head, plain_head

HOST = (b"host", b"a.example")
PEER, OURS = ("192.0.2.7", 40_000), ("192.0.2.1", 8000)


def head(target: bytes = b"/hi?a=b", fields: tuple[tuple[bytes, bytes], ...] = (HOST,)) -> Head:
    plain = plain_head(b"GET", target, lambda: "1.1", list(fields))
    return plain or check_head(b"GET", target, "1.1", list(fields))


def test_the_union_of_the_pieces_is_the_scope_with_the_types_of_asgi() -> None:
    """P1. Pairs and addresses are tuples again, headers and subprotocols are lists."""
    event = {"type": "websocket", "headers": [HOST, HOST], "client": PEER, "server": None, "subprotocols": ["a", "b"]}
    assert ScopeReader().read(Scope(event).pieces) == event
    assert ScopeReader().read([pack({"type": "http"}), pack({"headers": []})]) == {"type": "http", "headers": []}


def test_what_the_interface_server_packs_of_a_request_arrives() -> None:
    """The pieces and the dict of one scope say the same, below a root path and behind a proxy too."""
    for place in (
        ScopeBuilder(PEER, OURS),
        ScopeBuilder(PEER, OURS, root_path="/under"),
        ScopeBuilder(None, ("/run/a.sock", None)),
    ):
        for asked in (head(), head(b"/%C3%A4", (HOST, (b"content-length", b"3")))):
            made = place.scope(asked, [HOST, (b"x", b"y" * 2000)])
            assert ScopeReader().read(made.pieces) == made.event


def test_no_instance_changes_what_another_one_reads() -> None:
    """P2. Pieces are remembered; whoever changes his scope changes his own."""
    reader, pieces = ScopeReader(), ScopeBuilder(PEER, OURS).scope(head(), [HOST]).pieces
    first = reader.read(pieces)
    first["headers"].append((b"mine", b"alone"))
    first["path"] = "/mine"
    second = reader.read(pieces)
    assert second["headers"] == [HOST] and second["path"] == "/hi"


def test_a_piece_that_could_be_changed_is_not_remembered() -> None:
    """Values that nobody has thought of yet stay apart, too."""
    reader, pieces = ScopeReader(), [pack({"headers": [], "later": {"a": 1}})]
    reader.read(pieces)["later"]["a"] = 2
    assert reader.read(pieces)["later"] == {"a": 1}


def test_what_is_remembered_is_bounded() -> None:
    """P5. Long pieces are not remembered, and not more than so many."""
    reader = ScopeReader()
    reader.read([pack({"headers": [], "path": "x" * REMEMBERED_SIZE_BYTES_MAX})])
    assert not reader._remembered
    for number in range(2 * REMEMBERED_MAX):
        reader.read([pack({"headers": [], "path": f"/{number}"})])
        assert 0 < len(reader._remembered) <= REMEMBERED_MAX


def test_a_client_that_repeats_itself_gets_the_scope_that_it_had() -> None:
    """And the one it should have as soon as anything is different."""
    place = ScopeBuilder(PEER, OURS)
    first = place.scope(head(), [HOST])
    assert place.scope(head(), [HOST]) is first
    assert place.scope(head(), [HOST, HOST]).event["headers"] == [HOST, HOST]
    assert place.scope(head(b"/other"), [HOST]).event["path"] == "/other"
    long = [(b"x", b"y" * REMEMBERED_SIZE_BYTES_MAX)]
    assert place.scope(head(), long) is not place.scope(head(), long), "P5: what is large is not kept for later"


@pytest.mark.parametrize("pieces", [[], [b""], [pack([])], [pack({"path": "/"})], [1], ["text"], [[]], [b"\xc1"]])
def test_what_is_no_scope_is_refused(pieces: Any) -> None:
    """P12."""
    with pytest.raises(MALFORMED):
        ScopeReader().read(pieces)
    assert ProtocolError in MALFORMED
