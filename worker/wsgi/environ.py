"""Makes a WSGI environ from an ASGI scope. Sources: PEP 3333; CGI, RFC 3875, section 4.1.

WSGI's strings hold bytes: each character stands for one byte (latin-1). The path is taken from `raw_path`, since the
decoded `path` has lost everything that was not UTF-8.

Two kinds of headers never become variables. A name with an underscore would be taken for the one with a dash (`X_User` for
`X-User`, which a proxy in front may have removed). And `Proxy` would become HTTP_PROXY, which HTTP clients use.
"""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import unquote_to_bytes

from channel_layer.protocol.events import Event

Environ = dict[str, Any]

DEFAULT_PORTS = {"http": 80, "https": 443}
UNPREFIXED = {b"content-type": "CONTENT_TYPE", b"content-length": "CONTENT_LENGTH"}


def environ_of(scope: Event, body: Any) -> Environ:
    """The environ of one request. body: the file for `wsgi.input`."""
    script_name, path_info = split_path(scope)
    scheme = scope.get("scheme", "http")
    server, port = scope.get("server") or ("", None)
    if port is None:  # a unix socket: its path is no host name, and it has no port
        server, port = "localhost", DEFAULT_PORTS.get(scheme, 0)
    environ: Environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": script_name,
        "PATH_INFO": path_info,
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.input": body,
        "wsgi.input_terminated": True,  # the end of the file is the end of the body: chunked uploads can be read
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "asgi.scope": scope,
        "REMOTE_ADDR": "",  # unknown through a unix socket; applications read it without a check
    }
    client = scope.get("client")
    if client:
        environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = client[0], str(client[1])
    channel = scope.get("extensions", {}).get("towpath.channel")
    if channel:
        environ["towpath.reply_channel"] = channel["reply_channel"]
    add_headers(environ, scope["headers"])
    return environ


def split_path(scope: Event) -> tuple[str, str]:
    """SCRIPT_NAME and PATH_INFO. In ASGI the path starts with the root path; unless a proxy has removed it."""
    script_name = scope.get("root_path", "").rstrip("/").encode().decode("latin-1")
    raw_path = scope.get("raw_path")
    path = (unquote_to_bytes(raw_path) if raw_path else scope["path"].encode()).decode("latin-1")
    if script_name and (path == script_name or path.startswith(f"{script_name}/")):
        path = path[len(script_name) :]
    return script_name, path


def add_headers(environ: Environ, headers: list[tuple[bytes, bytes]]) -> None:
    """Add header fields as variables; repeated ones are joined as their grammar demands."""
    for name, value in headers:
        if b"_" in name or name == b"proxy":
            continue
        key = UNPREFIXED.get(name) or "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        text = value.decode("latin-1")
        if key in environ:
            text = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{text}"
        environ[key] = text
