"""Status lines."""

from __future__ import annotations

from interface_server.http.status_lines import STATUS_LINES


def test_a_status_without_a_name_keeps_the_space_in_front_of_its_empty_reason():
    """RFC 9112, 4: the space stands there even if the reason is empty."""
    assert STATUS_LINES[404] == b"HTTP/1.1 404 Not Found\r\n"
    assert STATUS_LINES[799] == b"HTTP/1.1 799 \r\n"


def test_each_status_of_three_digits_has_one_line():
    assert sorted(STATUS_LINES) == list(range(100, 1000))
    assert all(line.endswith(b"\r\n") and line.count(b"\n") == 1 for line in STATUS_LINES.values())
