"""Offers of compression, as clients may write them."""

from __future__ import annotations

from interface_server.websocket.deflate import negotiate_deflate


def test_offers_of_extensions_that_are_too_long_to_be_read_are_declined() -> None:
    """P12. A client that sends 60 kB of semicolons cost everybody 96 ms."""
    offer = b"permessage-deflate"
    assert negotiate_deflate(offer + b" " * (1024 - len(offer))) is not None
    assert negotiate_deflate(offer + b" " * (1025 - len(offer))) is None


def test_an_offer_that_is_not_legal_is_declined_and_the_next_is_looked_at() -> None:
    """P12."""
    assert negotiate_deflate(b"x-webkit-deflate-frame, permessage-deflate; nonsense=1") is None
    assert negotiate_deflate(b"permessage-deflate; server_max_window_bits=99") is None
    agreed = negotiate_deflate(
        b"permessage-deflate; server_max_window_bits=99, permessage-deflate; client_max_window_bits"
    )
    assert agreed is not None
    assert agreed[1] == "permessage-deflate; client_no_context_takeover; server_no_context_takeover"
