"""P12. What a client, or an application, may throw at HTTP/1.1, and the one answer that we want: a row for each probe.

Each row is sent as raw bytes on a connection of its own. `status` is what must come, `closed` whether the connection must
end afterwards (else a second request on it must be answered), `opened` how many requests may reach an application.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from channel_layer.protocol.events import Event
from interface_server.settings import InterfaceSettings
from tests.support.in_process_server import Receive, Send, served

SETTINGS = InterfaceSettings(access_log=False)
AGAIN = b"GET /again HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


async def hello(scope: Event, receive: Receive, send: Send) -> None:
    """Reads the request to its end and tells it back."""
    body = b""
    more = True
    while more:
        event = await receive()
        body += event.get("body", b"")
        more = event.get("more_body", False)
    text = b"%s %s [%s]" % (scope["method"].encode(), scope["path"].encode(), body)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": text})


@dataclass(frozen=True)
class Probe:
    name: str
    request: bytes
    status: int
    closed: bool = True
    opened: int = 0
    says: bytes = b""


def get(*lines: bytes, target: bytes = b"/", version: bytes = b"HTTP/1.1", method: bytes = b"GET") -> bytes:
    """A request with these lines behind the first."""
    return b"\r\n".join((b" ".join((method, target, version)), *lines)) + b"\r\n\r\n"


def post(*lines: bytes, body: bytes = b"", version: bytes = b"HTTP/1.1") -> bytes:
    return get(b"Host: a", *lines, method=b"POST", version=version) + body


CHUNKED = b"Transfer-Encoding: chunked"

PROBES = [
    # What must work.
    Probe("a plain request", get(b"Host: a"), 200, closed=False, opened=1, says=b"GET / []"),
    Probe("HTTP/1.0 without Host", get(version=b"HTTP/1.0"), 200, opened=1),
    Probe("HTTP/1.0 keep-alive", get(b"Connection: keep-alive", version=b"HTTP/1.0"), 200, closed=False, opened=1),
    Probe("connection close", get(b"Host: a", b"Connection: close"), 200, opened=1),
    Probe("empty lines before", b"\r\n\r\n" + get(b"Host: a"), 200, closed=False, opened=1),
    Probe("a body with a length", post(b"Content-Length: 3", body=b"abc"), 200, False, 1, b"POST / [abc]"),
    Probe("a chunked body", post(CHUNKED, body=b"3\r\nabc\r\n0\r\n\r\n"), 200, False, 1, b"POST / [abc]"),
    Probe("Chunked in any case", post(b"Transfer-Encoding: Chunked", body=b"0\r\n\r\n"), 200, False, 1),
    Probe(
        "chunk extensions and trailers", post(CHUNKED, body=b"1;x=y\r\na\r\n0\r\nT: v\r\n\r\n"), 200, False, 1, b"[a]"
    ),
    Probe("OPTIONS *", get(b"Host: a", target=b"*", method=b"OPTIONS"), 200, False, 1, b"OPTIONS * []"),
    Probe("absolute form", get(b"Host: b", target=b"http://a/x?y"), 200, False, 1, b"GET /x []"),
    Probe("absolute form without a path", get(b"Host: b", target=b"http://a"), 200, False, 1, b"GET / []"),
    Probe("a method of WebDAV", get(b"Host: a", method=b"PROPFIND"), 200, False, 1, b"PROPFIND / []"),
    Probe("percent FF", get(b"Host: a", target=b"/%FF"), 200, False, 1, "/\ufffd".encode()),
    Probe("NEL in a value", get(b"Host: a", b"X: a\x85b"), 200, False, 1),
    Probe("upgrade to h2c stays 1.1", get(b"Host: a", b"Connection: Upgrade", b"Upgrade: h2c"), 200, False, 1),
    Probe(
        "upgrade with a body keeps its body",
        post(b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Length: 3", body=b"abc"),
        200,
        False,
        1,
        b"POST / [abc]",
    ),
    Probe(
        "upgrade with a chunked body keeps its body",
        post(b"Connection: Upgrade", b"Upgrade: h2c", CHUNKED, body=b"3\r\nabc\r\n0\r\n\r\n"),
        200,
        False,
        1,
        b"POST / [abc]",
    ),
    Probe("upgrade in HTTP/1.0", get(b"Connection: upgrade", b"Upgrade: websocket", version=b"HTTP/1.0"), 200, True, 1),
    Probe("keep-alive in HTTP/1.0", get(b"Host: a", b"Connection: keep-alive", version=b"HTTP/1.0"), 200, False, 1),
    Probe(
        "a word to a proxy in 1.0", get(b"Host: a", b"Proxy-Connection: keep-alive", version=b"HTTP/1.0"), 200, True, 1
    ),
    # Heads that are none.
    Probe("garbage", b"\x16\x03\x01\x00\xa5\x01\r\n\r\n", 400),
    Probe("HTTP/0.9", b"GET /\r\n\r\n", 400),
    Probe("HTTP/1.2", get(b"Host: a", version=b"HTTP/1.2"), 400),
    Probe("HTTP/9.9", get(b"Host: a", version=b"HTTP/9.9"), 400),
    Probe("a head of HTTP/2.0", get(b"Host: a", version=b"HTTP/2.0"), 505),
    Probe("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, says=b"speaks HTTP/1.0 and HTTP/1.1"),
    Probe("unknown method", get(b"Host: a", method=b"FOO"), 501),
    Probe("lower case method", get(b"Host: a", method=b"get"), 501),
    Probe("a method of ICE", get(b"Host: a", method=b"SOURCE"), 501),
    Probe("CONNECT", get(b"Host: a", target=b"a:80", method=b"CONNECT"), 501),
    Probe("bare line feeds", b"GET / HTTP/1.1\nHost: a\n\n", 400),
    Probe("a folded line", get(b"Host: a", b"X: a\r\n b"), 400),
    Probe("a space before the colon", get(b"Host: a", b"X : b"), 400),
    Probe("a name that is none", get(b"Host: a", b": b"), 400),
    Probe("NUL in a value", get(b"Host: a", b"X: a\0b"), 400),
    Probe("bare CR in a value", get(b"Host: a", b"X: a\rb"), 400),
    Probe("VT in a value", get(b"Host: a", b"X: a\x0bb"), 400),
    # Targets.
    Probe("GET *", get(b"Host: a", target=b"*"), 400),
    Probe("a space in the target", get(b"Host: a", target=b"/a b"), 400),
    Probe("raw UTF-8 in the target", get(b"Host: a", target="/ü".encode()), 400),
    Probe("a fragment in the target", get(b"Host: a", target=b"/a#b"), 400),
    Probe("user and password in the target", get(b"Host: a", target=b"http://u:p@a/"), 400),
    Probe("another scheme", get(b"Host: a", target=b"ftp://a/"), 400),
    # Hosts.
    Probe("no Host", get(), 400),
    Probe("a user before the host, absolute form", get(b"Host: a", target=b"http://evil@a/foo"), 400),
    Probe("no Host, absolute form", get(target=b"http://a/"), 400),
    Probe("two Hosts", get(b"Host: a", b"Host: a"), 400),
    Probe("two Hosts in one", get(b"Host: a,b"), 400),
    Probe("a path for a Host", get(b"Host: a/b"), 400),
    Probe("an empty Host", get(b"Host:"), 200, closed=False, opened=1),
    Probe("an IPv6 Host", get(b"Host: [::1]:80"), 200, closed=False, opened=1),
    # Framing: whoever could be understood in two ways is not served at all.
    Probe("Transfer-Encoding and Content-Length", post(CHUNKED, b"Content-Length: 3", body=b"0\r\n\r\n"), 400),
    Probe("Content-Length and Transfer-Encoding", post(b"Content-Length: 3", CHUNKED, body=b"0\r\n\r\n"), 400),
    Probe("two lengths", post(b"Content-Length: 3", b"Content-Length: 4", body=b"abcd"), 400),
    Probe("the same length twice", post(b"Content-Length: 3", b"Content-Length: 3", body=b"abc"), 400),
    Probe("a list of lengths", post(b"Content-Length: 4, 4", body=b"abcd"), 400),
    Probe("a length with plus", post(b"Content-Length: +4", body=b"abcd"), 400),
    Probe("a negative length", post(b"Content-Length: -1"), 400),
    Probe("an empty length", post(b"Content-Length:"), 400),
    Probe("a length beyond 64 bits", post(b"Content-Length: 99999999999999999999999"), 400),
    Probe("xchunked", post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"), 501),
    Probe("gzip, chunked", post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), 501),
    Probe("identity", post(b"Transfer-Encoding: identity"), 400),
    Probe("chunked twice", post(CHUNKED, CHUNKED, body=b"0\r\n\r\n"), 400),
    Probe("chunked in HTTP/1.0", post(CHUNKED, body=b"0\r\n\r\n", version=b"HTTP/1.0"), 400),
    Probe("a chunk size that is none", post(CHUNKED, body=b"zz\r\na\r\n0\r\n\r\n"), 400, opened=0),
    Probe("chunks with line feeds", post(CHUNKED, body=b"1\na\n0\n\n"), 400, opened=0),
    # Sizes.
    Probe("a field of 20 KB", get(b"Host: a", b"X: " + b"a" * 20_000), 200, closed=False, opened=1),
    Probe("a field of 100 KB", get(b"Host: a", b"X: " + b"a" * 100_000), 431),
    Probe("a field of 2 MB", get(b"Host: a", b"X: " + b"a" * 2_000_000), 431),
    Probe("100 fields", get(b"Host: a", *(b"X: b" for _ in range(99))), 200, closed=False, opened=1),
    Probe("101 fields", get(b"Host: a", *(b"X: b" for _ in range(100))), 431),
    Probe("a target of 20 KB", get(b"Host: a", target=b"/" + b"a" * 20_000), 414),
    Probe("a target of 2 MB", get(b"Host: a", target=b"/" + b"a" * 2_000_000), 414),
    Probe("trailers of 2 MB", post(CHUNKED, body=b"0\r\nT: " + b"a" * 2_000_000 + b"\r\n\r\n"), 431, opened=0),
    # WebSocket handshakes that are HTTP's business.
    Probe("a WebSocket by POST", post(b"Connection: Upgrade", b"Upgrade: websocket", b"Content-Length: 0"), 405),
    Probe(
        "a WebSocket with a body",
        get(b"Host: a", b"Connection: Upgrade", b"Upgrade: websocket", b"Content-Length: 3") + b"abc",
        400,
    ),
]


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
async def test_each_probe_gets_the_answer_that_the_table_says(probe: Probe):
    """P12. Bad input gets a clear error, and only that connection ends; good input is served, and the connection lives."""
    await judge(probe)


async def judge(probe: Probe) -> bytes:
    """Send it, and look at all that its row says. What came behind the first head."""
    async with served(hello, SETTINGS) as server:
        client = await server.connect()
        client.write(probe.request)
        head = await client.until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 %d " % probe.status), head
        assert (b"connection: close" in head) is probe.closed
        if not probe.closed:
            client.write(AGAIN)
        rest = await client.rest()
        assert probe.says in rest
        assert (b"/again" in rest) is not probe.closed
        reached = [line for line in server.backend.lines if line.scope["path"] != "/again" and not line.left]
        assert len(reached) == probe.opened
        client.close()
        return rest


def answer(*events: Event):
    """An application that sends these and returns."""

    async def app(scope: Event, receive: Receive, send: Send) -> None:
        for event in events:
            await send(event)

    return app


def start(status: int = 200, *headers: tuple[bytes, bytes]) -> Event:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(data: bytes, more: bool = False) -> Event:
    return {"type": "http.response.body", "body": data, "more_body": more}


def length(size: int) -> tuple[bytes, bytes]:
    return (b"content-length", b"%d" % size)


async def raising(scope: Event, receive: Receive, send: Send) -> None:
    await send(start())
    await send(body(b"begun", more=True))
    raise RuntimeError("in mid-response")


CRLF = (b"x", b"a\r\nset-cookie: b")
GONE, STAYS = True, False

#: name, application, how the request begins, what comes (without date and server), does the connection end then?
ANSWERS = [
    ("a body without a length", answer(start(), body(b"abc")), b"GET", b"content-length: 3\r\n\r\nabc", STAYS),
    (
        "a streamed body",
        answer(start(), body(b"abc", more=True), body(b"")),
        b"GET",
        b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        STAYS,
    ),
    (
        "a 204 with a body",
        answer(start(204, length(3)), body(b"abc")),
        b"GET",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        STAYS,
    ),
    ("a 304 with a body", answer(start(304, length(3)), body(b"abc")), b"GET", b"content-length: 3\r\n\r\n", STAYS),
    ("HEAD with a body", answer(start(200, length(3)), body(b"abc")), b"HEAD", b"content-length: 3\r\n\r\n", STAYS),
    ("HEAD with a short body", answer(start(200, length(9)), body(b"")), b"HEAD", b"content-length: 9\r\n\r\n", STAYS),
    ("HEAD, streamed", answer(start(), body(b"a", more=True), body(b"")), b"HEAD", b"HTTP/1.1 200 OK\r\n\r\n", STAYS),
    (
        "longer than its length",
        answer(start(200, length(3)), body(b"abcde")),
        b"GET",
        b"content-length: 3\r\n\r\nabc",
        GONE,
    ),
    (
        "shorter than its length",
        answer(start(200, length(9)), body(b"abc")),
        b"GET",
        b"content-length: 9\r\n\r\nabc",
        GONE,
    ),
    ("nothing at all", answer(), b"GET", b"HTTP/1.1 500 ", STAYS),
    ("a line end in a value", answer(start(200, CRLF), body(b"")), b"GET", b"HTTP/1.1 500 ", STAYS),
    ("NUL in a value", answer(start(200, (b"x", b"\0")), body(b"")), b"GET", b"HTTP/1.1 500 ", STAYS),
    ("a name that is none", answer(start(200, (b"x y", b"a")), body(b"")), b"GET", b"HTTP/1.1 500 ", STAYS),
    (
        "a length that is none",
        answer(start(200, (b"content-length", b"x")), body(b"")),
        b"GET",
        b"HTTP/1.1 500 ",
        STAYS,
    ),
    ("two lengths", answer(start(200, length(1), length(2)), body(b"a")), b"GET", b"HTTP/1.1 500 ", STAYS),
    ("a body first", answer(body(b"a")), b"GET", b"HTTP/1.1 500 ", STAYS),
    ("an informational status", answer(start(101), body(b"")), b"GET", b"HTTP/1.1 500 ", STAYS),
    ("raising in mid-response", raising, b"GET", b"transfer-encoding: chunked\r\n\r\n5\r\nbegun\r\n", GONE),
    ("returning in mid-response", answer(start(), body(b"ab", more=True)), b"GET", b"\r\n\r\n2\r\nab\r\n", GONE),
    (
        "framing of its own",
        answer(start(200, (b"Transfer-Encoding", b"chunked"), (b"Keep-Alive", b"x")), body(b"abc")),
        b"GET",
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc",
        STAYS,
    ),
    (
        "close wanted by the application",
        answer(start(200, (b"connection", b"close")), body(b"abc")),
        b"GET",
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc",
        GONE,
    ),
]


@pytest.mark.parametrize(("name", "app", "method", "comes", "ends"), ANSWERS, ids=[row[0] for row in ANSWERS])
async def test_each_answer_of_an_application_leaves_as_the_table_says(name, app, method, comes, ends):
    """P12. Whatever an application sends, no client mistakes it for another message or for success."""
    quiet = InterfaceSettings(access_log=False, server_header=False, date_header=False)
    async with served(app, quiet) as server:
        client = await server.connect()
        client.write(method + b" / HTTP/1.1\r\nHost: a\r\n\r\n")
        if ends:
            came = await client.rest()
            assert came.endswith(comes)
        else:
            client.write(b"GET /-/health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            came, _, second = (await client.rest()).rpartition(b"HTTP/1.1 ")
            assert second.startswith(b"200 OK")
            assert comes in came if comes.endswith(b" 500 ") else came.endswith(comes)
        assert b"set-cookie" not in came
        client.close()
