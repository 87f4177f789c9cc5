"""Heads of requests: what is accepted, what is refused, and what a head means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interface_server.http.answers import RequestError
from interface_server.http.request import Head
from interface_server.http1.head import check_head, plain_head


@given(st.binary(max_size=40), st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=20)), max_size=5))
def test_whatever_llhttp_lets_pass_is_a_head_or_a_refusal(target: bytes, fields: list[tuple[bytes, bytes]]):
    """P12. Never another exception. llhttp refuses targets outside of ASCII, so they do not get here."""
    try:
        check_head(b"GET", bytes(byte & 0x7F for byte in target), "1.1", [(b"host", b"a"), *fields])
    except RequestError as refusal:
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
        with pytest.raises(RequestError) as refused:
            check_head(b"GET", target, "1.1", [(b"host", field)])
        assert refused.value.status == 400


@pytest.mark.parametrize("target", b"http:// http:///x http://:80/x http://@/ http:a ftp://a/ a".split())
def test_a_target_that_names_no_host_and_is_no_path_is_refused(target: bytes):
    with pytest.raises(RequestError) as refused:
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
    return {name: getattr(head, name) for name in Head.__slots__ if name != "semantic_fields"}


@pytest.mark.interpreted
@given(st.sampled_from([b"GET", b"HEAD", b"POST"]), st.sampled_from([b"/", b"/%41?b", b"/a#b", b"http://a/"]), FIELDS)
def test_the_short_way_to_a_head_ends_where_the_long_one_does(method: bytes, target: bytes, fields: list):
    """P12. What is remembered is what would be found out again; what must not be served is refused on either way."""
    try:
        plain = plain_head(method, target, lambda: "1.1", fields)
    except RequestError as refusal:
        with pytest.raises(RequestError) as found:
            check_head(method, target, "1.1", fields)
        assert found.value.args == refusal.args
    else:
        if plain is not None:
            head = check_head(method, target, "1.1", fields)
            assert meaning(head) == meaning(plain)
            assert set(head.semantic_fields) - set(plain.semantic_fields) <= {b"host", b"connection"}


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
