"""X-Forwarded-For and X-Forwarded-Proto: whom they are believed from, and what they mean."""

from __future__ import annotations

import pytest

from interface_server.http.proxy_headers import TrustedPeers
from interface_server.http1.head import check_head


@pytest.mark.parametrize(
    ("allowed", "peer", "trusted"),
    [
        ("127.0.0.1,::1", "127.0.0.1", True),
        ("127.0.0.1,::1", "0:0:0:0:0:0:0:1", True),
        ("127.0.0.1,::1", "10.0.0.1", False),
        ("127.0.0.1", "::ffff:127.0.0.1", True),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("fd00::/8", "fd00::7", True),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("10.0.0.0/8", None, False),
        ("unix", None, True),
        ("*", None, True),
        ("*", "1.2.3.4", True),
        ("", "127.0.0.1", False),
        ("127.0.0.1", "nonsense", False),
        ("127.0.0.1", "9" * 100, False),
    ],
)
def test_only_peers_that_were_named_are_trusted(allowed: str, peer: str | None, trusted: bool):
    peers = TrustedPeers(allowed)
    assert peers.trusts(peer) is trusted
    assert peers.trusts(peer) is trusted  # as remembered


@pytest.mark.parametrize(
    ("allowed", "value", "client"),
    [
        ("127.0.0.1", b"1.2.3.4", ("1.2.3.4", 0)),
        ("127.0.0.1", b"6.6.6.6, 1.2.3.4", ("1.2.3.4", 0)),
        ("127.0.0.1", b"6.6.6.6,1.2.3.4, 127.0.0.1", ("1.2.3.4", 0)),
        ("127.0.0.1", b"127.0.0.1", ("127.0.0.1", 0)),
        ("*", b"6.6.6.6, 1.2.3.4", ("6.6.6.6", 0)),
        ("127.0.0.1", b"1.2.3.4:56", ("1.2.3.4", 56)),
        ("127.0.0.1", b"[2001:db8::1]:56", ("2001:db8::1", 56)),
        ("127.0.0.1", b"[2001:db8::1]", ("2001:db8::1", 0)),
        ("127.0.0.1", b"2001:db8::1", ("2001:db8::1", 0)),
        ("127.0.0.1", b"1.2.3.4:x", ("1.2.3.4:x", 0)),
        ("127.0.0.1", b"[1.2.3.4", ("[1.2.3.4", 0)),
        ("127.0.0.1", b"", None),
        ("127.0.0.1", b"unknown", ("unknown", 0)),
    ],
)
def test_the_client_is_the_last_that_is_no_proxy_of_ours(allowed: str, value: bytes, client: object):
    assert TrustedPeers(allowed).client_behind(value) == client


def test_a_trusted_address_that_is_none_is_an_operators_mistake():
    with pytest.raises(ValueError):
        TrustedPeers("localhost,10.0.0.0/8")


@pytest.mark.parametrize(
    ("value", "scheme"),
    [
        (b"https", "https"),
        (b"https,https", "https"),
        (b"HTTPS , http", "https"),
        (b"http, https", "http"),
        (b"wss", "https"),
        (b",https", None),
        (b"gopher", None),
        (b"", None),
    ],
)
def test_the_first_scheme_of_a_list_is_what_the_client_spoke(value: bytes, scheme: str | None):
    """Also where it stands in two lines, as a second proxy adds one."""
    assert TrustedPeers("*").scheme(value) == scheme
    twice = [(b"host", b"a"), *((b"x-forwarded-proto", part) for part in value.split(b","))]
    assert (
        TrustedPeers("*").scheme(check_head(b"GET", b"/", "1.1", twice).semantic_fields[b"x-forwarded-proto"]) == scheme
    )
