"""Heads of responses: status lines, and the kinds of fields."""

from __future__ import annotations

import pytest

from interface_server.http.response_head import (
    CONNECTION,
    KNOWN_KINDS,
    LENGTH,
    NAMES_REMEMBERED_MAX,
    PLAIN,
    STATUS_LINES,
    InvalidResponse,
    kind_by_name,
    kind_of,
    kinds_of,
    once,
)


def test_a_status_without_a_name_keeps_the_space_in_front_of_its_empty_reason():
    """RFC 9112, 4: the space stands there even if the reason is empty."""
    assert STATUS_LINES[404] == b"HTTP/1.1 404 Not Found\r\n"
    assert STATUS_LINES[799] == b"HTTP/1.1 799 \r\n"


def test_each_status_of_three_digits_has_one_line():
    assert sorted(STATUS_LINES) == list(range(100, 1000))
    assert all(line.endswith(b"\r\n") and line.count(b"\n") == 1 for line in STATUS_LINES.values())


def test_a_name_has_its_kind_however_it_is_written():
    """RFC 9110, 5.1: names are case-insensitive."""
    assert kind_of(b"Content-Length") == kind_of(b"content-length") == LENGTH
    assert kinds_of([(b"X-A", b"1"), (b"CONNECTION", b"close"), (b"content-LENGTH", b"3")]) == CONNECTION | LENGTH
    assert kinds_of([(b"x-a", b"1")]) == PLAIN


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b"a\r\nb", "text", None, "ä".encode()])
def test_a_name_that_is_no_token_is_refused(name: bytes):
    """P12. It would end the field, or the head."""
    with pytest.raises(InvalidResponse):
        kind_of(name)
    assert name not in kind_by_name


def test_an_application_that_makes_names_up_fills_no_memory():
    """P5. What is remembered is bounded, and the known names stay known."""
    for number in range(2 * NAMES_REMEMBERED_MAX):
        assert kind_of(b"x-%d" % number) == PLAIN
        assert len(kind_by_name) <= NAMES_REMEMBERED_MAX
    assert KNOWN_KINDS.items() <= kind_by_name.items()


def test_of_a_field_with_one_value_the_first_of_equal_ones_is_kept():
    """Content-Length counts as the same number, however it is written."""
    fields = [(b"content-length", b"3"), (b"x", b"1"), (b"etag", b"a"), (b"Content-Length", b"03"), (b"x", b"1")]
    assert once([*fields, (b"ETag", b"a"), (b"etag", b"b")]) == [*fields[:3], (b"x", b"1"), (b"etag", b"b")]
