"""Bytes of a response in HTTP/1: how it is framed, and which responses are remembered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interface_server.http.default_headers import DefaultHeaders
from interface_server.http.response import Response
from interface_server.http.response_head import InvalidResponse, once
from interface_server.http1.encoder import Http1Encoder, RenderedHeadCache

NO_LINES = RenderedHeadCache(DefaultHeaders(lambda: "now", server=False, date=False))


def render(headers: list[tuple[bytes, bytes]], *parts: bytes, http11: bool = True) -> bytes:
    encoder = Http1Encoder(Response(head_only=False), http11, True, NO_LINES)
    events = [{"type": "http.response.start", "status": 200, "headers": headers}]
    events += [
        {"type": "http.response.body", "body": part, "more_body": number < len(parts)}
        for number, part in enumerate(parts, 1)
    ]
    return b"".join(encoder.render(events))


def test_a_stream_is_chunked_for_a_modern_client_and_ends_with_the_connection_of_an_old_one():
    assert render([], b"ab", b"", b"c").endswith(b"\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
    assert render([], b"ab", b"", b"c", http11=False) == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabc"


def test_an_old_client_that_would_stay_is_told_that_it_may():
    assert render([], b"ab", http11=False).endswith(b"content-length: 2\r\nconnection: keep-alive\r\n\r\nab")


@given(
    st.lists(st.tuples(st.sampled_from([b"a", b"X-B", b"content-type"]), st.binary(max_size=12)), max_size=4),
    st.binary(max_size=30),
)
def test_no_value_makes_a_line_of_its_own(headers: list[tuple[bytes, bytes]], body: bytes):
    """P12. Either each field is one line of the head, or nothing leaves."""
    try:
        head, _, rest = render(headers, body).partition(b"\r\n\r\n")
    except InvalidResponse:
        assert any(set(value) & set(b"\r\n\0") for _, value in headers)
    else:
        assert rest == body
        expected = [name + b": " + value for name, value in once(headers)]
        assert head.split(b"\r\n") == [b"HTTP/1.1 200 OK", *expected, b"content-length: %d" % len(body)]


@pytest.mark.parametrize(
    "name", [b"content-length", b"Content-Type", b"date", b"ETag", b"location", b"server", b"expires"]
)
def test_a_field_that_has_one_value_and_says_it_twice_is_sent_once(name: bytes):
    """P12. Node's client takes two equal lengths for an attack."""
    value = b"3" if name == b"content-length" else b"a"
    head = render([(name, value), (b"x", value), (name.lower(), value), (b"x", value)], b"abc").lower()
    assert head.count(b"\r\n" + name.lower() + b": ") == 1 and head.count(b"\r\nx: ") == 2
    if name != b"content-length":  # two lengths are refused
        head = render([(name, b"one"), (name, b"other"), (name, b"one")], b"abc").lower()
        assert head.count(b"\r\n" + name.lower() + b": ") == 2


def test_a_length_that_is_said_twice_in_a_204_or_with_a_close_is_still_no_fault():
    fields = [(b"content-length", b"3"), (b"connection", b"close"), (b"content-length", b"03")]
    assert render(fields, b"abc").count(b"content-length") == 1
    exchange = Response(head_only=False)
    exchange.start(
        {"status": 204, "headers": [(b"content-type", b"a"), (b"content-type", b"a"), (b"content-length", b"0")]}
    )
    assert list(exchange.fields) == [(b"content-type", b"a")]


def rendered(events: list[dict], heads: RenderedHeadCache) -> bytes:
    return b"".join(Http1Encoder(Response(head_only=False), True, True, heads).render(events))


def response(body: bytes = b"abc", /, **start: object) -> list[dict]:
    headers = [[b"content-type", b"a"]]
    first = {"type": "http.response.start", "status": 200, "headers": headers, **start}
    return [first, {"type": "http.response.body", "body": body}]


@pytest.mark.parametrize("headers", [None, [], [[b"a", b"b"]], [[b"Content-Length", b"3"], [b"b", b"c"]]])
def test_a_response_that_is_remembered_is_the_same_to_the_byte(headers: object):
    heads = RenderedHeadCache(DefaultHeaders(lambda: "now", extra=[("x", "y")]))
    assert heads.lookup(response(headers=headers)) is None
    first = rendered(response(headers=headers), heads)
    assert heads.lookup(response(headers=headers)) == first
    again = heads.lookup(response(b"xyz", headers=headers))
    assert again == rendered(response(b"xyz", headers=headers), heads)


@pytest.mark.parametrize(
    "events",
    [
        response(b"abcd"),
        response(status=404),
        response(status=200.0),
        response(headers=[[b"content-type", b"b"]]),
        response(headers=[[b"content-type", b"a"], [b"b", b"c"]]),
        response(type="http.response.body"),
        response("abc"),
        response()[:1],
        response()[1:],
        [response()[0], {"type": "http.response.body", "body": b"abc", "more_body": True}],
        [response()[0], {"type": "http.response.start", "body": b"abc"}],
        [*response(), *response()],
        [response()[0], {}],
        [None, response()[1]],
        [response()[0], 7],
    ],
)
def test_what_is_not_quite_the_response_that_is_remembered_goes_the_long_way(events: list):
    """P12. Also what is no response at all: it is refused there."""
    heads = RenderedHeadCache(DefaultHeaders(lambda: "now"))
    rendered(response(), heads)
    assert heads.lookup(response()) is not None
    assert heads.lookup(events) is None


@pytest.mark.parametrize(
    ("events", "head_only", "http11", "keep_alive"),
    [
        (response(), True, True, True),
        (response(), False, False, True),
        (response(), False, True, False),
        (response(status=304), False, True, True),
        (response(headers=[[b"content-length", b"4"]]), False, True, True),
        (response(headers=[[b"connection", b"close"]]), False, True, True),
        (response(headers=[[b"transfer-encoding", b"chunked"]]), False, True, True),
        (response(headers=[[b"date", b"yesterday"]]), False, True, True),
        (response(headers=[[b"x", b"y" * 2000]]), False, True, True),
        (response(b"a" * 17000), False, True, True),
    ],
)
def test_what_holds_for_one_request_alone_is_not_remembered(
    events: list, head_only: bool, http11: bool, keep_alive: bool
):
    heads = RenderedHeadCache(DefaultHeaders(lambda: "now"))
    Http1Encoder(Response(head_only), http11, keep_alive, heads).render(events)
    assert heads.lookup(events) is None
