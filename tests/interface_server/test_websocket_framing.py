"""The borrowed parser under any bytes, in any pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from interface_server.autobahn_framing import Framing, Rack, negotiate_deflate
from interface_server.websocket_session import BadFrame
from tests.interface_server.websocket_door import client_frame

Heard = list[tuple[str, bytes, bool]]


class Ear:
    """A listener that writes down what it hears."""

    def __init__(self) -> None:
        self.heard: Heard = []

    def heard_message(self, payload: bytes, binary: bool) -> None:
        self.heard.append(("message", payload, binary))

    def heard_ping(self, payload: bytes) -> None:
        self.heard.append(("ping", payload, True))

    def heard_pong(self) -> None:
        self.heard.append(("pong", b"", True))

    def heard_close_frame(self, payload: bytes) -> None:
        self.heard.append(("close", payload, True))


def read(pieces: list[bytes], offers: bytes = b"") -> tuple[Heard, int | None]:
    """What is heard of `pieces`, and the code of the failure."""
    ear, agreed = Ear(), negotiate_deflate(offers)
    framing = Rack(2000).borrow(ear, agreed[0] if agreed else None)
    try:
        for piece in pieces:
            framing.feed(piece)
    except BadFrame as bad:
        return ear.heard, bad.code
    return ear.heard, None


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted(place % (len(data) + 1) for place in places)
    return [data[start:end] for start, end in zip([0, *ends], [*ends, len(data)], strict=True)]


frames = st.builds(
    client_frame,
    st.sampled_from((0, 1, 2, 8, 9, 10, 3)),
    st.one_of(st.binary(max_size=8), st.binary(min_size=100, max_size=300)),
    fin=st.booleans(),
    rsv=st.sampled_from((0, 0, 0, 4)),
)
streams = st.one_of(st.binary(max_size=400), st.lists(frames, max_size=6).map(b"".join))


@given(streams, st.lists(st.integers(0, 5000), max_size=5), st.sampled_from((b"", b"permessage-deflate")))
def test_any_bytes_in_any_pieces_mean_the_same_and_fail_only_with_a_close_code(
    data: bytes, places: list[int], offers: bytes
) -> None:
    """P12. No sequence of bytes raises anything else, and none depends on how it was cut by the network."""
    heard, code = read([data], offers)
    assert (heard, code) == read(cut(data, places), offers)
    assert code in (None, 1002, 1007, 1009)


@given(st.binary(max_size=1500), st.booleans())
def test_a_masked_payload_is_read_as_it_was_meant(payload: bytes, final: bool) -> None:
    heard, code = read([client_frame(2, payload, fin=final)] + ([] if final else [client_frame(0, b"!")]))
    assert (heard, code) == ([("message", payload if final else payload + b"!", True)], None)


def test_a_parser_comes_back_clean_and_is_lent_again() -> None:
    rack = Rack(2000)
    first, second = Ear(), Ear()
    agreed = negotiate_deflate(b"permessage-deflate")
    assert agreed is not None
    framing = rack.borrow(first, agreed[0])
    assert isinstance(framing, Framing) and framing.applyMask
    rack.give_back(framing)
    assert rack.borrow(second, None) is framing
    framing.feed(client_frame(1, b"hello"))
    assert first.heard == [] and second.heard == [("message", b"hello", False)]
    assert framing.between_messages()


def test_an_offer_that_is_not_legal_is_declined_and_the_next_is_looked_at() -> None:
    """P12."""
    assert negotiate_deflate(b"x-webkit-deflate-frame, permessage-deflate; nonsense=1") is None
    assert negotiate_deflate(b"permessage-deflate; server_max_window_bits=99") is None
    agreed = negotiate_deflate(
        b"permessage-deflate; server_max_window_bits=99, permessage-deflate; client_max_window_bits"
    )
    assert agreed is not None
    assert agreed[1] == "permessage-deflate; client_no_context_takeover; server_no_context_takeover"
