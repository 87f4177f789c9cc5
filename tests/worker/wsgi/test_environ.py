"""A WSGI environ out of an ASGI scope, as PEP 3333 and RFC 3875 have it."""

from __future__ import annotations

import io
import sys

import pytest

from worker.wsgi.environ import environ_of, split_path

SCOPE = {
    "type": "http",
    "method": "POST",
    "http_version": "1.1",
    "scheme": "https",
    "path": "/shop/items",
    "raw_path": b"/shop/items",
    "query_string": b"a=%20b",
    "root_path": "",
    "headers": [(b"host", b"example.org"), (b"content-type", b"text/plain"), (b"content-length", b"3")],
    "server": ("10.0.0.1", 8000),
    "client": ("192.0.2.7", 40_000),
}


def test_the_variables_of_cgi_come_from_the_scope() -> None:
    environ = environ_of(SCOPE, body := io.BytesIO(b"abc"))
    expected = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/shop/items",
        "QUERY_STRING": "a=%20b",
        "SERVER_NAME": "10.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.7",
        "REMOTE_PORT": "40000",
        "CONTENT_TYPE": "text/plain",
        "CONTENT_LENGTH": "3",
        "HTTP_HOST": "example.org",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.input_terminated": True,
    }
    assert {name: environ[name] for name in expected} == expected
    assert environ["wsgi.input"] is body and environ["wsgi.errors"] is sys.stderr and environ["asgi.scope"] is SCOPE


def test_the_reply_channel_is_a_variable_of_its_own() -> None:
    scope = SCOPE | {"extensions": {"towpath.channel": {"reply_channel": "interface.0123456789ab!17"}}}
    assert environ_of(scope, None)["towpath.reply_channel"] == "interface.0123456789ab!17"
    assert "towpath.reply_channel" not in environ_of(SCOPE, None)


def test_strings_are_bytes_in_disguise() -> None:
    """PEP 3333, "Unicode Issues". Also of a path that is no UTF-8."""
    environ = environ_of(SCOPE | {"path": "/caf\ufffd", "raw_path": b"/caf%E9%2Fx", "query_string": b"q=\xe9"}, None)
    assert environ["PATH_INFO"] == "/caf\xe9/x" and environ["QUERY_STRING"] == "q=\xe9"
    assert environ_of(SCOPE | {"path": "/ü", "raw_path": None}, None)["PATH_INFO"].encode("latin-1") == "/ü".encode()


@pytest.mark.parametrize(
    ("root_path", "raw_path", "script_name", "path_info"),
    [
        ("", b"/a", "", "/a"),
        ("/shop", b"/shop/a", "/shop", "/a"),
        ("/shop/", b"/shop/a", "/shop", "/a"),
        ("/shop", b"/shop", "/shop", ""),
        ("/shop", b"/shopping", "/shop", "/shopping"),
        ("/shop", b"/a", "/shop", "/a"),
        ("/", b"/a", "", "/a"),
    ],
)
def test_the_root_path_is_cut_off_as_a_whole_segment_where_it_is_there(
    root_path: str, raw_path: bytes, script_name: str, path_info: str
) -> None:
    """A proxy may have cut it off already."""
    scope = SCOPE | {"root_path": root_path, "raw_path": raw_path}
    assert split_path(scope) == (script_name, path_info)


def test_repeated_fields_are_joined_as_their_grammar_has_it() -> None:
    """RFC 9110, 5.3; RFC 6265, 5.4."""
    fields = [(b"accept", b"a"), (b"cookie", b"x=1"), (b"accept", b"b"), (b"cookie", b"y=2")]
    environ = environ_of(SCOPE | {"headers": fields}, None)
    assert environ["HTTP_ACCEPT"] == "a,b" and environ["HTTP_COOKIE"] == "x=1; y=2"


def test_two_kinds_of_fields_never_become_variables() -> None:
    """P12. An underscore would be mistaken for a dash, and HTTP_PROXY is what clients of HTTP take for their proxy."""
    fields = [(b"x_user", b"forged"), (b"x-user", b"true"), (b"proxy", b"evil:8080")]
    environ = environ_of(SCOPE | {"headers": fields}, None)
    assert environ["HTTP_X_USER"] == "true" and "HTTP_PROXY" not in environ


@pytest.mark.parametrize(("scheme", "port"), [("http", "80"), ("https", "443")])
@pytest.mark.parametrize("server", [None, ("/run/web.sock", None)])
def test_without_a_port_the_server_is_localhost_at_the_port_of_its_scheme(
    server: object, scheme: str, port: str
) -> None:
    """Through a unix socket. The client's address is unknown there, and looked up without asking whether it is there."""
    environ = environ_of(SCOPE | {"server": server, "scheme": scheme, "client": None}, None)
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("localhost", port)
    assert environ["REMOTE_ADDR"] == "" and "REMOTE_PORT" not in environ
