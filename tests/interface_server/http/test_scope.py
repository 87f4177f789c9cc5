"""Scopes of requests: what an application hears of a head, behind a proxy and below a root path."""

from __future__ import annotations

import pytest

from channel_layer.protocol.scope import ScopeReader
from interface_server.http.proxy_headers import TrustedPeers
from interface_server.http.scope import ScopeBuilder, websocket_scope
from interface_server.http1.head import check_head

CLIENT, SERVER = ("192.0.2.7", 40_000), ("10.0.0.1", 8000)
HOST = (b"host", b"example.org")


def scope_of(place: ScopeBuilder, target: bytes = b"/a%20b?c=d", *fields: tuple[bytes, bytes]) -> dict:
    """The scope of a GET, which is the same to the interface server and to the worker that reads its pieces."""
    all_fields = [HOST, *fields]
    scope = place.scope(check_head(b"GET", target, "1.1", list(all_fields)), all_fields)
    read = ScopeReader().read(scope.pieces)
    assert read == {**scope.event, "headers": list(scope.event["headers"])}
    return scope.event


def test_a_scope_has_what_asgi_asks_for() -> None:
    """ASGI specification, "HTTP connection scope"; the worker adds `asgi`, `extensions` and `state`."""
    expected = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/a b",
        "raw_path": b"/a%20b",
        "query_string": b"c=d",
        "root_path": "",
        "client": CLIENT,
        "server": SERVER,
    }
    scope = scope_of(ScopeBuilder(CLIENT, SERVER), b"/a%20b?c=d", (b"x", b"y"))
    assert {name: scope[name] for name in expected} == expected
    assert [tuple(field) for field in scope["headers"]] == [HOST, (b"x", b"y")]


def test_the_path_begins_with_the_root_path() -> None:
    """As for uvicorn's option of the same name; the raw path too."""
    scope = scope_of(ScopeBuilder(CLIENT, SERVER, "/mounted"))
    assert (scope["root_path"], scope["path"], scope["raw_path"]) == ("/mounted", "/mounted/a b", b"/mounted/a%20b")


FORWARDED = ((b"x-forwarded-for", b"198.51.100.1"), (b"x-forwarded-proto", b"https"))


def test_a_trusted_proxy_is_believed_about_the_client_and_the_scheme() -> None:
    scope = scope_of(ScopeBuilder(CLIENT, SERVER, trusted=TrustedPeers("192.0.2.7")), b"/", *FORWARDED)
    assert (scope["client"], scope["scheme"]) == (("198.51.100.1", 0), "https")


@pytest.mark.parametrize("trusted", [None, TrustedPeers("203.0.113.9")])
def test_any_other_peer_is_not(trusted: TrustedPeers | None) -> None:
    """P12. Or a client could choose its own address."""
    scope = scope_of(ScopeBuilder(CLIENT, SERVER, trusted=trusted), b"/", *FORWARDED)
    assert (scope["client"], scope["scheme"]) == (CLIENT, "http")


def test_a_trusted_proxy_that_says_nothing_changes_nothing() -> None:
    place = ScopeBuilder(CLIENT, SERVER, trusted=TrustedPeers("*"))
    scope_of(place, b"/", *FORWARDED)
    scope = scope_of(place, b"/")
    assert (scope["client"], scope["scheme"]) == (CLIENT, "http")


def test_an_equal_request_gets_the_scope_that_the_last_one_had() -> None:
    """It is packed once. Any difference makes another one."""
    place, fields = ScopeBuilder(CLIENT, SERVER), [HOST, (b"x", b"y")]
    head, other = (check_head(b"GET", target, "1.1", [HOST]) for target in (b"/a", b"/b"))
    scope = place.scope(head, fields)
    assert place.scope(head, list(fields)) is scope
    assert place.scope(head, [HOST, (b"x", b"z")]) is not scope
    assert place.scope(other, fields).event["path"] == "/b"


@pytest.mark.parametrize(("scheme", "expected"), [("http", "ws"), ("https", "wss")])
def test_the_scope_of_a_websocket_has_its_own_type_and_scheme_and_no_method(scheme: str, expected: str) -> None:
    """ASGI specification, "WebSocket connection scope". The scope of the request stays as it was."""
    http = {**scope_of(ScopeBuilder(CLIENT, SERVER)), "scheme": scheme}
    websocket = websocket_scope(http)
    assert (websocket["type"], websocket["scheme"], websocket["path"]) == ("websocket", expected, "/a b")
    assert "method" not in websocket and http["method"] == "GET"
