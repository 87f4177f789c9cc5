"""Checks the head of an HTTP/1 request, and reads its meaning.

llhttp has parsed the bytes, and refused all that is not HTTP. Heads that pass there but that two servers could read in two ways
are refused here: versions other than 1.0 and 1.1, a missing or second Host, Transfer-Encoding that is not plain `chunked` or
stands in 1.0, targets that are no path. The stricter of two readings always wins: a refused request cannot be smuggled.
RFC 9112, sections 2 to 7; RFC 9110, section 7.

No I/O here: method, target, version and fields in, a `Head` or a `RequestError` out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Final

from interface_server.http.answers import RequestError
from interface_server.http.request import Fields, Head, line_scope

#: Fields that mean something to the server. Names arrive in lower case.
SEMANTIC_FIELDS: Final = frozenset(
    (
        b"host",
        b"connection",
        b"proxy-connection",
        b"content-length",
        b"transfer-encoding",
        b"expect",
        b"upgrade",
        b"x-forwarded-for",
        b"x-forwarded-proto",
    )
)
WEBSOCKET: Final = b"websocket"
#: Those of them that a head may have only once.
SINGLE: Final = frozenset((b"host", b"content-length", b"transfer-encoding"))
#: Methods that llhttp knows beside those that we serve: RTSP's and ICE's, the preface of HTTP/2, and tunnels.
METHODS_REFUSED: Final = frozenset(
    b"CONNECT PRI SOURCE DESCRIBE ANNOUNCE SETUP PLAY PAUSE TEARDOWN GET_PARAMETER SET_PARAMETER REDIRECT RECORD FLUSH".split()
)
#: host, host:port, [address] or [address]:port, as in RFC 3986, 3.2.2 and 3.2.3, but without a comma; empty is allowed.
HOST: Final = re.compile(
    rb"(?:(?:[A-Za-z0-9\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})*"
    rb"|\[(?:(?P<v6>[0-9A-Fa-f:.]+)|[vV][0-9A-Fa-f]+\.[A-Za-z0-9\-._~!$&'()*+;=:]+)\])(?::[0-9]*)?"
)
HOST_SIZE_BYTES_MAX: Final = 512  #: twice what DNS knows
VERSIONS: Final = "this server speaks HTTP/1.0 and HTTP/1.1"
#: Scheme, authority, and the rest. HTTP does not allow a user before the host (RFC 9110, 4.2.4).
ABSOLUTE: Final = re.compile(rb"(?i:https?)://([^/?#]*)(.*)", re.DOTALL)


def plain_head(
    method: bytes, target: bytes, version: Callable[[], str], fields: list[tuple[bytes, bytes]]
) -> Head | None:
    """`check_head` for a head in which only first line, Host and a `Connection: keep-alive` matter; else None.

    Call only if llhttp keeps the connection open: with no field about it, llhttp does so in HTTP/1.1 alone.
    `version` is called only if there is such a field: in llhttp's wrapper it costs as much as this function.
    """
    host = None
    for name, value in fields:
        if name in SEMANTIC_FIELDS:
            if name == b"host" and host is None:
                host = value
            elif name != b"connection" or value.lower() != b"keep-alive" or version() != "1.1":
                return None
    if host is None or target[:1] != b"/":
        return None
    return _plain_head(method, target, host)


def check_head(method: bytes, target: bytes, version: str, fields: list[tuple[bytes, bytes]]) -> Head:
    """Check a head. The authority of an absolute target replaces the Host field (RFC 9112, 3.2.2).

    Raises RequestError. The connection then cannot serve another request, since it is not known where that would begin.
    """
    if version != "1.1" and version != "1.0":
        raise RequestError(505 if version[0] > "1" else 400, VERSIONS, "version")
    _check_method(method)
    head = Head()
    head.version = version
    head.semantic_fields = semantic_fields = _semantic_fields(fields)
    origin = target if target[:1] == b"/" else _origin_form(head, method, target, fields)
    _read_line(head, method, target, origin)
    _check_host(semantic_fields.get(b"host"), version)
    _read_framing(head, semantic_fields)
    _read_connection(head, semantic_fields)
    head.fast_path = head.keep_alive and version == "1.1" and method != b"HEAD"
    return head


@lru_cache(maxsize=256)
def _plain_head(method: bytes, target: bytes, host: bytes) -> Head:
    """Cached, since most clients request what others have requested."""
    _check_method(method)
    head = Head()
    head.version = "1.1"
    head.semantic_fields = {}
    _read_line(head, method, target, target)
    _check_host(host, "1.1")
    head.length_bytes = 0
    head.expects_continue = head.upgrade = False
    head.keep_alive = True
    head.fast_path = method != b"HEAD"
    return head


def _check_method(method: bytes) -> None:
    if method in METHODS_REFUSED:
        raise RequestError(501, "this method is not implemented", "method")


def _semantic_fields(fields: Fields) -> dict[bytes, bytes]:
    semantic_fields: dict[bytes, bytes] = {}
    for name, value in fields:
        if name in SEMANTIC_FIELDS:
            if name not in semantic_fields:
                semantic_fields[name] = value
            elif name in SINGLE:
                raise RequestError(400, f"more than one {name.decode()} field", "repeated_field")
            else:
                semantic_fields[name] += b"," + value
    return semantic_fields


def _read_line(head: Head, method: bytes, target: bytes, origin: bytes) -> None:
    """origin: the target without scheme and authority."""
    head.target = target
    head.scope, head.piece = scope, _ = line_scope(method, origin, head.version)
    head.method, head.path = scope["method"], scope["path"]


def _origin_form(head: Head, method: bytes, target: bytes, fields: list[tuple[bytes, bytes]]) -> bytes:
    if target == b"*" and method == b"OPTIONS":
        return target
    absolute = ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise RequestError(400, "the request target is neither a path nor a URL", "target")
    authority, rest = absolute.groups()
    if authority[:1] in (b"", b":") or not _is_host(authority):
        raise RequestError(400, "the request target names no host", "target")
    _check_host(head.semantic_fields.get(b"host"), head.version)  # checked although it is replaced
    head.semantic_fields[b"host"] = authority
    fields[:] = [(b"host", authority), *(field for field in fields if field[0] != b"host")]
    return bytes(rest) if rest[:1] == b"/" else b"/" + rest


def _check_host(host: bytes | None, version: str) -> None:
    if host is None:
        if version == "1.1":
            raise RequestError(400, "no Host field", "host")
    elif len(host) > HOST_SIZE_BYTES_MAX or not _is_host(host):
        raise RequestError(400, "the Host field is no host", "host")


@lru_cache(maxsize=256)
def _is_host(value: bytes) -> bool:
    """True if `value` may stand in a Host field. Cached, since the same few hosts are requested again and again."""
    match = HOST.fullmatch(value)
    return match is not None and (match["v6"] is None or _is_v6(match["v6"].decode()))


def _is_v6(address: str) -> bool:
    try:
        IPv6Address(address)
    except ValueError:
        return False
    return True


def _read_framing(head: Head, semantic_fields: dict[bytes, bytes]) -> None:
    coding = semantic_fields.get(b"transfer-encoding")
    length = semantic_fields.get(b"content-length")
    if coding is None:
        head.length_bytes = 0 if length is None else _length(length)
        return
    if length is not None:
        raise RequestError(400, "Content-Length beside Transfer-Encoding", "framing")
    if head.version == "1.0":
        raise RequestError(400, "Transfer-Encoding in HTTP/1.0", "framing")
    if coding.lower() != b"chunked":
        known = coding.lower() == b"identity"
        raise RequestError(400 if known else 501, "the only transfer coding here is chunked", "framing")
    head.length_bytes = None


def _length(value: bytes) -> int:
    if not value.isdigit():
        raise RequestError(400, "Content-Length is no number", "framing")
    return int(value)


def _read_connection(head: Head, semantic_fields: dict[bytes, bytes]) -> None:
    http11 = head.version == "1.1"
    head.keep_alive = http11
    head.upgrade = False
    connection = semantic_fields.get(b"connection")
    if connection is not None:
        tokens = _tokens(connection)
        head.keep_alive = b"close" not in tokens and (http11 or b"keep-alive" in tokens)
        if http11 and b"upgrade" in tokens:
            head.upgrade = WEBSOCKET in _tokens(semantic_fields.get(b"upgrade", b""))
    if b"close" in _tokens(semantic_fields.get(b"proxy-connection", b"")):
        head.keep_alive = False  # not a field of HTTP, but llhttp applies it, and reads nothing after such a request
    head.expects_continue = False
    if http11 and head.length_bytes != 0:
        head.expects_continue = semantic_fields.get(b"expect", b"").lower() == b"100-continue"


def _tokens(value: bytes) -> set[bytes]:
    return {token.strip() for token in value.lower().split(b",")}
