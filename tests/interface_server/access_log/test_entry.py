"""What a measured access line shows of a request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interface_server.access_log.entry import CUT_AT_BYTES, AccessEntry, Peer, cut_target, quoted_address


def entry(target: bytes = b"/a?b", version: str = "1.1", client: Peer = ("192.0.2.7", 5060)) -> AccessEntry:
    return AccessEntry(client=client, method="GET", target=target, version=version, status=200)


@pytest.mark.parametrize(
    ("shown", "line"),
    [
        (entry(), '192.0.2.7:5060 - "GET /a?b HTTP/1.1" 200'),
        (entry(client=None), '- - "GET /a?b HTTP/1.1" 200'),
        (entry(version=""), '192.0.2.7:5060 - "GET /a?b" 200'),
        (entry(b"", ""), '192.0.2.7:5060 - "-" 200'),
        (entry(b'/" HTTP/1.1" 200 \n'), '192.0.2.7:5060 - "GET /%22%20HTTP/1.1%22%20200%20%0A HTTP/1.1" 200'),
    ],
)
def test_our_own_form_is_the_one_of_lines_that_are_not_measured(shown: AccessEntry, line: str) -> None:
    """With its reason in brackets, where the server itself has answered."""
    assert shown.line == line
    shown.why = "too late"
    assert shown.line == f"{line} (too late)"


def test_the_target_of_a_refused_head_is_cut() -> None:
    """It may have been refused for its length."""
    assert cut_target(b"a" * CUT_AT_BYTES) == b"a" * CUT_AT_BYTES
    assert cut_target(b"a" * CUT_AT_BYTES + b"b") == b"a" * CUT_AT_BYTES + b"..."


@given(st.binary(min_size=1), st.text())
def test_whatever_a_client_sends_the_line_has_two_quotation_marks(target: bytes, address: str) -> None:
    """P12. And nothing that a terminal interprets."""
    line = entry(target, client=(address, 1)).line
    assert line.count('"') == 2
    assert line.isascii() and line.isprintable()


@given(st.text())
def test_an_address_ends_where_its_field_ends(address: str) -> None:
    """A proxy may name anything."""
    shown = quoted_address((address, 1))
    assert " " not in shown and '"' not in shown


def test_the_fields_in_json_are_figures_with_their_units() -> None:
    """Those that are not there are None, and left out of the line."""
    shown = entry()
    shown.body_bytes, shown.duration_s = 5, 0.00012349
    assert shown.json_fields() == {
        "client": "192.0.2.7:5060",
        "method": "GET",
        "target": "/a?b",
        "status": 200,
        "reason": None,
        "bytes": 5,
        "duration_s": 0.000123,
    }
