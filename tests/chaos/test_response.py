"""A client can tell a whole response from one that was cut, and a cut one from none."""

from __future__ import annotations

import pytest

from tests.chaos.outcomes import Ending
from tests.chaos.response import read

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("received", "ending", "body"),
    [
        (LENGTH + b"hello", Ending.WHOLE, b"hello"),
        (LENGTH + b"hel", Ending.CUT, b"hel"),
        (CHUNKED + b"5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", Ending.WHOLE, b"hello!"),
        (CHUNKED + b"5\r\nhello\r\n0\r\n", Ending.CUT, b"hello"),
        (CHUNKED + b"5\r\nhello\r\n", Ending.CUT, b"hello"),
        (CHUNKED + b"5\r\nhel", Ending.CUT, b"hel"),
    ],
)
def test_the_end_of_a_response(received: bytes, ending: Ending, body: bytes) -> None:
    """By its length, or by its last chunk."""
    assert read(received) == (ending, 200, body)


def test_half_a_head_is_cut_and_nothing_is_a_reset() -> None:
    """Without a status there is none."""
    assert read(LENGTH[:20]) == (Ending.CUT, None, b"")
    assert read(b"") == (Ending.RESET, None, b"")
