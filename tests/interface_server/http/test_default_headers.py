"""The header lines that the server adds to every response."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from interface_server.http.default_headers import DefaultHeaders
from interface_server.http.server_context import imf_fixdate


def test_the_date_is_that_of_mail_and_http() -> None:
    """Compared with the standard library's, which would load the package for mail into every interface server."""
    earliest, date, latest = time.time(), imf_fixdate(), time.time()
    assert date in {formatdate(moment, usegmt=True) for moment in (earliest, latest)}


def test_standing_lines_change_with_the_clock_and_give_way_to_the_operators():
    moments = iter(("one", "two"))
    lines = DefaultHeaders(lambda: next(moments), extra=[("Server", "mine")])
    assert lines.all == b"date: one\r\nserver: mine\r\n"
    lines.refresh()
    assert lines.all == b"date: two\r\nserver: mine\r\n"


@pytest.mark.parametrize("pair", [("x y", "a"), ("x", "a\r\nb: c"), ("", "a")])
def test_an_additional_header_that_cannot_be_one_is_refused_at_start(pair: tuple[str, str]):
    with pytest.raises(ValueError):
        DefaultHeaders(lambda: "now", extra=[pair])
