"""Requests out of bytes: what a parser reports, however the bytes are cut, and which limits end a connection. P5, P12."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interface_server.http.answers import RequestError
from interface_server.http1.parser import RequestItem, RequestParser
from interface_server.http1.parsing_state import MOVES
from interface_server.settings import InterfaceSettings

GET = b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n"
POST = b"POST /b HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello"
CHUNKED = b"POST /c HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2 \r\nde\r\n0\r\nx: y\r\n\r\n"
LAST = b"GET /d HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
H2C = b"POST /e HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: h2c\r\ncontent-length: 2\r\n\r\nhi"
WEBSOCKET = (
    b"GET /f HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)

pytestmark = pytest.mark.interpreted  # CheckedParser watches a parser's attributes


class CheckedParser(RequestParser):
    """A parser whose every move has to stand in the table."""

    def __setattr__(self, name: str, value: object) -> None:
        if name == "_state" and hasattr(self, name):
            assert any(moves.get(self._state) is value for moves in MOVES), f"{value} after {self._state}"
        super().__setattr__(name, value)


class Requests:
    """Each request as its path, its body, and whether it is over."""

    def __init__(self, parsed: list[RequestItem]) -> None:
        self.found: list[list[object]] = []
        self.fields: list[tuple[bytes, bytes]] = []
        for item in parsed:
            if isinstance(item, tuple):
                self.found.append([item[0].path, b"", False])
                self.fields = item[1]
            elif isinstance(item, bytes):
                self.found[-1][1] += item  # type: ignore[operator]
            else:
                self.found[-1][2] = True


def parsed(*reads: bytes, **settings: int) -> Requests:
    items: list[RequestItem] = []
    parser = CheckedParser(items, InterfaceSettings(**settings))  # type: ignore[arg-type]
    for data in reads:
        assert parser.receive_data(data) is None
    return Requests(items)


ALL = [["/a", b"", True], ["/b", b"hello", True], ["/c", b"abcde", True], ["/e", b"hi", True], ["/d", b"", True]]


@given(st.lists(st.integers(1, 60), max_size=30))
def test_requests_are_the_same_however_their_bytes_are_cut(sizes: list[int]) -> None:
    """P1. Five in a row, one of which asks for a protocol that is not spoken here."""
    data, reads = GET + POST + CHUNKED + H2C + LAST, []
    for size in sizes:
        reads.append(data[:size])
        data = data[size:]
    assert parsed(*(read for read in (*reads, data) if read)).found == ALL


def test_names_of_fields_are_lower_case_and_values_end_without_white_space() -> None:
    requests = parsed(b"GET / HTTP/1.1\r\nHost: a\r\nX-Y: \t b \t\r\n\r\n")
    assert requests.fields == [(b"host", b"a"), (b"x-y", b"b")]


def test_trailers_are_read_and_reported_to_nobody() -> None:
    requests = parsed(CHUNKED)
    assert (b"x", b"y") not in requests.fields and requests.found == [["/c", b"abcde", True]]


def test_bytes_behind_the_last_request_are_nobodys() -> None:
    """A client that has asked for the end may not ask for more (RFC 9112, 9.6)."""
    assert parsed(LAST + GET, b"anything").found == [["/d", b"", True]]


@pytest.mark.parametrize("behind", [b"", b"\x81\x85frame"])
def test_bytes_behind_a_handshake_are_for_the_websocket(behind: bytes) -> None:
    items: list[RequestItem] = []
    parser = CheckedParser(items, InterfaceSettings())
    assert parser.receive_data(GET + WEBSOCKET + behind) == behind
    assert Requests(items).found == [["/a", b"", True], ["/f", b"", False]]


def test_a_parser_knows_whether_it_is_in_a_head_or_in_a_body() -> None:
    """Each has a timeout of its own."""
    parser = CheckedParser([], InterfaceSettings())
    assert not parser.in_head(b"") and not parser.in_body
    parser.receive_data(b"\r\n")
    assert not parser.in_head(b"\r\n"), "line ends before a request are none of it"
    parser.receive_data(POST[:10])
    assert parser.in_head(POST[:10]) and not parser.in_body
    parser.receive_data(POST[10:-3])
    assert parser.in_body and parser.body_left_bytes == 3 and not parser.in_head(POST[10:-3])
    parser.receive_data(POST[-3:])
    assert not parser.in_body and parser.body_left_bytes == 0


@pytest.mark.parametrize(
    ("data", "settings", "status", "name"),
    [
        (b"GET /" + b"a" * 200 + b" HTTP/1.1\r\n", {"target_size_bytes_max": 100}, 414, "target_too_long"),
        (b"GET / HTTP/1.1\r\nx: " + b"a" * 2000, {"head_size_bytes_max": 1000}, 431, "head_too_large"),
        (
            b"GET / HTTP/1.1\r\nhost: a\r\n" + b"x: y\r\n" * 9 + b"\r\n",
            {"header_fields_max": 8},
            431,
            "too_many_fields",
        ),
        (b"GET / HTTP/1.1\r\nhost: a\r\n" + b"x: y\r\n" * 9, {"header_fields_max": 8}, 431, "too_many_fields"),
        (POST, {"body_size_bytes_max": 4}, 413, "body_too_large"),
        (CHUNKED, {"body_size_bytes_max": 4}, 413, "body_too_large"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {}, 505, "version"),
        (b"BREW / HTTP/1.1\r\nhost: a\r\n\r\n", {}, 501, "method"),
        (b"\x16\x03\x01\x02\x00", {}, 400, "malformed"),
        (WEBSOCKET.replace(b"GET", b"PUT"), {}, 405, "websocket_method"),
        (WEBSOCKET.replace(b"host: a", b"host: a\r\ncontent-length: 1"), {}, 400, "websocket_body"),
        (CHUNKED.replace(b"x: y", b"connection: close"), {}, 400, "trailer"),
    ],
)
def test_what_is_not_served_has_a_status_and_a_name(
    data: bytes, settings: dict[str, int], status: int, name: str
) -> None:
    """At once, and byte by byte."""
    for reads in ([data], [bytes([byte]) for byte in data]):
        with pytest.raises(RequestError) as refused:
            parsed(*reads, **settings)
        assert (refused.value.status, refused.value.name) == (status, name)


def test_a_head_that_is_refused_is_known_as_far_as_it_was_read() -> None:
    """For the access log."""
    parser = CheckedParser([], InterfaceSettings(head_size_bytes_max=100))
    assert parser.refused() == (b"", b"")
    with pytest.raises(RequestError):
        parser.receive_data(b"DELETE /long HTTP/1.1\r\nx: " + b"a" * 200)
    assert parser.refused() == (b"DELETE", b"/long")


@given(st.lists(st.binary(max_size=100), max_size=5))
def test_any_bytes_are_requests_or_one_that_is_refused(reads: list[bytes]) -> None:
    """P12. Nothing else comes out of it."""
    try:
        parsed(*reads)
    except RequestError as error:
        assert 400 <= error.status < 600
