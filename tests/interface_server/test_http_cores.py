"""The small cores of the HTTP door: heads, response bytes, turns, proxies, health, counters, and who is stalled."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interface_server.http.health import Health
from interface_server.http.proxy_headers import TrustedPeers
from interface_server.http.response import Exchange, InvalidResponse, once
from interface_server.http1.encoder import Http1Response, StandingLines
from interface_server.http1.head import Head, Refusal, check_head, plain_head
from interface_server.http1.pipeline import Turns
from interface_server.transport.write_timeout import WriteTimeouts

NO_LINES = StandingLines(server=False, date=False)


# Heads.


@given(st.binary(max_size=40), st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=20)), max_size=5))
def test_whatever_llhttp_lets_pass_is_a_head_or_a_refusal(target: bytes, fields: list[tuple[bytes, bytes]]):
    """P12. Never another exception. llhttp refuses targets outside of ASCII, so they do not get here."""
    try:
        check_head(b"GET", bytes(byte & 0x7F for byte in target), "1.1", [(b"host", b"a"), *fields])
    except Refusal as refusal:
        assert 400 <= refusal.status < 600


@pytest.mark.parametrize(
    ("connection", "version", "stays"),
    [
        (None, "1.1", True),
        (b"close", "1.1", False),
        (b"Keep-Alive, Close", "1.1", False),
        (b"x", "1.1", True),
        (None, "1.0", False),
        (b"Keep-Alive", "1.0", True),
        (b"keep-alive, close", "1.0", False),
    ],
)
def test_a_connection_stays_as_its_version_and_its_field_say(connection: bytes | None, version: str, stays: bool):
    fields = [(b"host", b"a")] + ([] if connection is None else [(b"connection", connection)])
    assert check_head(b"GET", b"/", version, fields).keep_alive is stays


HOSTS = b"a a:80 a: a.example 127.0.0.1:1 [::1] [::1]:80 [2001:db8::1] [v1.a:b] %41 a_b ~a a;b=c"
NO_HOSTS = b'evil@a a@ :80@a a:80@b a:b [::1 ::1 [::1]a [zz] [1:2] [::1%25eth0] [v1] %4 %zz a\\b a,b a<b a|b "a"'


@pytest.mark.parametrize("host", HOSTS.split())
def test_an_absolute_target_is_a_scheme_a_host_a_port_and_what_is_behind_them(host: bytes):
    """P12. RFC 3986, 3.2; RFC 9110, 4.2."""
    for rest, path in ((b"", "/"), (b"/x@y", "/x@y"), (b"?@", "/")):
        fields = [(b"host", b"b")]
        head = check_head(b"GET", b"http://" + host + rest, "1.1", fields)
        assert (fields, head.path) == ([(b"host", host)], path)
    assert check_head(b"GET", b"/", "1.1", [(b"host", host)]).path == "/"


@pytest.mark.parametrize("host", [*NO_HOSTS.split(), b"a" * 513])
def test_a_host_that_is_none_is_refused_in_a_target_and_in_its_field(host: bytes):
    """P12. So is a user before it (RFC 9110, 4.2.4): two servers could take it for the host."""
    for target, field in ((b"http://%b/foo" % host, b"a"), (b"HTTPS://%b" % host, b"a"), (b"/", host)):
        with pytest.raises(Refusal) as refused:
            check_head(b"GET", target, "1.1", [(b"host", field)])
        assert refused.value.status == 400


@pytest.mark.parametrize("target", b"http:// http:///x http://:80/x http://@/ http:a ftp://a/ a".split())
def test_a_target_that_names_no_host_and_is_no_path_is_refused(target: bytes):
    with pytest.raises(Refusal) as refused:
        check_head(b"GET", target, "1.1", [(b"host", b"b")])
    assert refused.value.status == 400
    assert check_head(b"GET", b"//a", "1.1", [(b"host", b"b")]).path == "//a"  # but this is a path: RFC 9112, 3.2.1


FIELDS = st.lists(
    st.tuples(
        st.sampled_from([b"host", b"connection", b"proxy-connection", b"content-length", b"x", b"upgrade", b"expect"]),
        st.sampled_from(
            [b"a", b"a b", b"", b"keep-alive", b"Keep-Alive", b"close", b"3", b"websocket", b"100-continue"]
        ),
    ),
    max_size=4,
)


def meaning(head: Head) -> dict[str, object]:
    """All that a head says, but for the Host that a plain one does not repeat."""
    return {name: getattr(head, name) for name in Head.__slots__ if name != "heeded"}


@given(st.sampled_from([b"GET", b"HEAD", b"POST"]), st.sampled_from([b"/", b"/%41?b", b"/a#b", b"http://a/"]), FIELDS)
def test_the_short_way_to_a_head_ends_where_the_long_one_does(method: bytes, target: bytes, fields: list):
    """P12. What is remembered is what would be found out again; what must not be served is refused on either way."""
    try:
        plain = plain_head(method, target, lambda: "1.1", fields)
    except Refusal as refusal:
        with pytest.raises(Refusal) as found:
            check_head(method, target, "1.1", fields)
        assert found.value.args == refusal.args
    else:
        if plain is not None:
            head = check_head(method, target, "1.1", fields)
            assert meaning(head) == meaning(plain)
            assert set(head.heeded) - set(plain.heeded) <= {b"host", b"connection"}


@pytest.mark.parametrize("name", [b"connection", b"proxy-connection"])
def test_an_old_request_that_would_stay_is_never_taken_for_a_modern_one(name: bytes):
    """llhttp keeps the connection open for either field."""
    assert plain_head(b"GET", b"/", lambda: "1.0", [(b"host", b"a"), (name, b"keep-alive")]) is None


@pytest.mark.parametrize(
    ("upgrade", "asked"),
    [(b"websocket", True), (b"WebSocket", True), (b"h2c, websocket", True), (b"websockets", False), (b"h2c", False)],
)
def test_websocket_is_asked_for_wherever_it_stands_in_the_list(upgrade: bytes, asked: bool):
    """RFC 6455, 4.2.1; RFC 9110, 7.8."""
    fields = [(b"host", b"a"), (b"connection", b"keep-alive, Upgrade"), (b"upgrade", upgrade)]
    assert check_head(b"GET", b"/", "1.1", fields).upgrade is asked


# Bytes of a response.


def render(headers: list[tuple[bytes, bytes]], *parts: bytes, modern: bool = True) -> bytes:
    response = Http1Response(False, modern, True, NO_LINES)
    events = [{"type": "http.response.start", "status": 200, "headers": headers}]
    events += [
        {"type": "http.response.body", "body": part, "more_body": number < len(parts)}
        for number, part in enumerate(parts, 1)
    ]
    return b"".join(response.render(events, True))


def test_a_stream_is_chunked_for_a_modern_client_and_ends_with_the_connection_of_an_old_one():
    assert render([], b"ab", b"", b"c").endswith(b"\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
    assert render([], b"ab", b"", b"c", modern=False) == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabc"


def test_an_old_client_that_would_stay_is_told_that_it_may():
    assert render([], b"ab", modern=False).endswith(b"content-length: 2\r\nconnection: keep-alive\r\n\r\nab")


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
    exchange = Exchange(head_only=False)
    exchange.start(
        {"status": 204, "headers": [(b"content-type", b"a"), (b"content-type", b"a"), (b"content-length", b"0")]}
    )
    assert list(exchange.fields) == [(b"content-type", b"a")]


def response(body: bytes = b"abc", /, **start: object) -> list[dict]:
    headers = [[b"content-type", b"a"]]
    first = {"type": "http.response.start", "status": 200, "headers": headers, **start}
    return [first, {"type": "http.response.body", "body": body}]


@pytest.mark.parametrize("headers", [None, [], [[b"a", b"b"]], [[b"Content-Length", b"3"], [b"b", b"c"]]])
def test_a_response_that_is_remembered_is_the_same_to_the_byte(headers: object):
    lines = StandingLines(extra=[("x", "y")], clock=lambda: "now")
    assert lines.whole(response(headers=headers)) is None
    first = b"".join(Http1Response(False, True, True, lines).render(response(headers=headers), True))
    assert lines.whole(response(headers=headers)) == first
    again = lines.whole(response(b"xyz", headers=headers))
    assert again == b"".join(Http1Response(False, True, True, lines).render(response(b"xyz", headers=headers), True))


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
    lines = StandingLines()
    Http1Response(False, True, True, lines).render(response(), True)
    assert lines.whole(response()) is not None
    assert lines.whole(events) is None


@pytest.mark.parametrize(
    ("events", "head_only", "modern", "may_stay"),
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
    events: list, head_only: bool, modern: bool, may_stay: bool
):
    lines = StandingLines()
    Http1Response(head_only, modern, True, lines).render(events, may_stay)
    assert lines.whole(events) is None


def test_standing_lines_change_with_the_clock_and_give_way_to_the_operators():
    moments = iter(("one", "two"))
    lines = StandingLines(extra=[("Server", "mine")], clock=lambda: next(moments))
    assert lines.all == b"date: one\r\nserver: mine\r\n"
    lines.refresh()
    assert lines.all == b"date: two\r\nserver: mine\r\n"


@pytest.mark.parametrize("pair", [("x y", "a"), ("x", "a\r\nb: c"), ("", "a")])
def test_an_additional_header_that_cannot_be_one_is_refused_at_start(pair: tuple[str, str]):
    with pytest.raises(ValueError):
        StandingLines(extra=[pair])


# Turns.


def test_what_begins_something_waits_until_the_counter_is_free_and_the_rest_follows_it():
    """P1. In order, whatever waits."""
    free, made = True, []

    def begin(name: str) -> None:
        nonlocal free
        free = False
        made.append(name)

    turns = Turns(lambda: free)
    turns.take(True, begin, "first")
    turns.take(False, made.append, "of the first")
    turns.take(True, begin, "second")
    turns.take(False, made.append, "of the second")
    assert made == ["first", "of the first"]
    free = True
    turns.go_on()
    assert made == ["first", "of the first", "second", "of the second"]
    assert not turns.waiting


# Proxies. The rows are those of uvicorn's option of the same name.


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
    assert TrustedPeers("*").scheme(check_head(b"GET", b"/", "1.1", twice).heeded[b"x-forwarded-proto"]) == scheme


# The small ones.


def test_health_answers_its_two_paths_alone():
    health = Health("/-/health/")
    assert health.paths == {"/-/health/live", "/-/health/ready"}
    assert health.answer("/-/health/live", "GET", ready=False).status == 200
    assert health.answer("/-/health/ready", "GET", ready=False).status == 503
    assert health.answer("/-/health/ready", "HEAD", ready=True).status == 200
    assert [health.answer("/-/health/ready", "OPTIONS", ready=ready).status for ready in (True, False)] == [200, 503]
    assert health.answer("/-/health/ready", "DELETE", ready=True).status == 405
    assert not Health("").paths


class Taker:
    """A transport that has acknowledged what the test says."""

    def __init__(self) -> None:
        self.acknowledged = 0

    def acknowledged_bytes(self) -> int:
        return self.acknowledged


def test_stalled_is_who_acknowledges_nothing_for_the_whole_time():
    """P5. One byte in time is enough; watching again does not begin anew; it is said once."""
    watch, taker, said = WriteTimeouts(60.0), Taker(), []
    watch.watch(taker, 0.0, lambda: said.append("stalled"))
    watch.sweep(59.0)
    taker.acknowledged = 1
    watch.sweep(59.9)
    watch.watch(taker, 100.0, lambda: said.append("never"))
    watch.sweep(119.0)
    assert said == []
    watch.sweep(120.0)
    watch.sweep(500.0)
    assert said == ["stalled"]
    assert len(watch) == 0


def test_whoever_is_forgotten_is_never_called_stalled():
    watch, taker, said = WriteTimeouts(1.0), Taker(), []
    watch.watch(taker, 0.0, lambda: said.append("stalled"))
    watch.forget(taker)
    watch.sweep(10.0)
    assert said == []
