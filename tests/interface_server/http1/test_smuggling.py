"""P12. Requests that two servers could cut in two ways: a proxy in front of us must never see another end than we do.

Rows as in test_probes.py; these are the gadgets. A refused request ends the connection, whatever follows it.
"""

from __future__ import annotations

import pytest

from tests.interface_server.http1.test_probes import CHUNKED, Probe, get, judge, post

SMUGGLED = get(b"Host: a", target=b"/smuggled")


def chunked(body: bytes) -> bytes:
    return post(CHUNKED, body=body)


GADGETS = [
    # What says "chunked" in other words.
    Probe("chunked, chunked", post(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n" + SMUGGLED), 400),
    Probe("identity, chunked", post(b"Transfer-Encoding: identity, chunked", body=b"0\r\n\r\n" + SMUGGLED), 501),
    Probe("chunked, identity", post(b"Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n" + SMUGGLED), 400),
    Probe("an empty list of codings", post(b"Transfer-Encoding:", body=b"0\r\n\r\n"), 400),
    Probe("an empty coding", post(b"Transfer-Encoding: ,chunked", body=b"0\r\n\r\n"), 501),
    Probe("a coding in quotes", post(b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"), 501),
    Probe("a coding with a parameter", post(b"Transfer-Encoding: chunked;a=b", body=b"0\r\n\r\n"), 501),
    Probe("VT before a coding", post(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"), 400),
    Probe("a space behind Transfer-Encoding", post(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"), 400),
    Probe("an empty coding beside a length", post(b"Transfer-Encoding:", b"Content-Length: 3", body=b"abc"), 400),
    Probe("length 0 beside chunks", post(b"Content-Length: 0", CHUNKED, body=b"0\r\n\r\n" + SMUGGLED), 400),
    Probe(
        "both, behind an upgrade",
        post(b"Connection: Upgrade", b"Upgrade: h2c", CHUNKED, b"Content-Length: 3", body=b"0\r\n\r\n"),
        400,
    ),
    Probe("a tab before a coding", post(b"Transfer-Encoding:\tchunked", body=b"1\r\na\r\n0\r\n\r\n"), 200, False, 1),
    Probe(
        "another name that looks like it",
        post(b"Transfer_Encoding: chunked", b"Content-Length: 5", body=b"0\r\n\r\n"),
        200,
        False,
        1,
        b"[0\r\n\r\n]",
    ),
    # Lengths.
    Probe("two numbers", post(b"Content-Length: 3 3", body=b"abc"), 400),
    Probe("a hexadecimal length", post(b"Content-Length: 0x3", body=b"abc"), 400),
    Probe("a length with an underscore", post(b"Content-Length: 1_0", body=b"a" * 10), 400),
    Probe("a length with a point", post(b"Content-Length: 3.0", body=b"abc"), 400),
    Probe("a length in other digits", post("Content-Length: \u0663".encode(), body=b"abc"), 400),
    Probe("a length of 2^64 + 3", post(b"Content-Length: 18446744073709551619", body=b"abc"), 400),
    Probe("a length with zeros in front", post(b"Content-Length: 003", body=b"abc"), 200, False, 1, b"[abc]"),
    # Chunks.
    Probe("a chunk of 2^64 + 3", chunked(b"10000000000000003\r\nabc\r\n0\r\n\r\n"), 400),
    Probe("a chunk with 0x", chunked(b"0x3\r\nabc\r\n0\r\n\r\n"), 400),
    Probe("a chunk with plus", chunked(b"+3\r\nabc\r\n0\r\n\r\n"), 400),
    Probe("a negative chunk", chunked(b"-3\r\nabc\r\n0\r\n\r\n"), 400),
    Probe("a space behind a chunk's size", chunked(b"3 \r\nabc\r\n0\r\n\r\n"), 200, False, 1, b"[abc]"),
    Probe("spaces before an extension", chunked(b"3 \t;a=b\r\nabc\r\n0 ;c\r\n\r\n"), 200, False, 1, b"[abc]"),
    Probe("two sizes with a space between", chunked(b"3 2\r\nabc\r\n0\r\n\r\n"), 400),
    Probe("a space that ends with a line feed", chunked(b"3 \nabc\r\n0\r\n\r\n"), 400),
    Probe("spaces inside of an extension", chunked(b"3; a = b\r\nabc\r\n0\r\n\r\n"), 400),
    Probe("a chunk without a size", chunked(b"\r\nabc\r\n0\r\n\r\n"), 400),
    Probe("a chunk with nothing but an extension", chunked(b";x\r\nabc\r\n0\r\n\r\n"), 400),
    Probe("a chunk that is longer than it says", chunked(b"3\r\nabcd\r\n0\r\n\r\n"), 400),
    Probe("a chunk that is shorter than it says", chunked(b"3\r\nab\r\n0\r\n\r\n"), 400),
    Probe("a chunk that ends with a line feed", chunked(b"3\r\nabc\n0\r\n\r\n"), 400),
    Probe("a chunk that ends with other bytes", chunked(b"3\r\nabcXX0\r\n\r\n"), 400),
    Probe("an end with a line feed", chunked(b"0\r\n\n" + SMUGGLED), 400),
    Probe("a line feed in an extension", chunked(b"3;a\nabc\r\n0\r\n\r\n"), 400),
    Probe("a bare CR in an extension", chunked(b"3;a\rb\r\nabc\r\n0\r\n\r\n"), 400),
    Probe("a line end in a quoted extension", chunked(b'3;a="\r\nabc\r\n0\r\n\r\n' + SMUGGLED), 400),
    Probe(
        "a chunk's size with zeros in front", chunked(b"0" * 100 + b"3\r\nabc\r\n0\r\n\r\n"), 200, False, 1, b"[abc]"
    ),
    Probe("a chunk's size of 100 KB", chunked(b"0" * 100_000 + b"3\r\nabc\r\n0\r\n\r\n"), 431),
    Probe("an extension of 100 KB", chunked(b"3;" + b"x" * 100_000 + b"\r\nabc\r\n0\r\n\r\n"), 431),
    # Trailers that look like heads.
    Probe("a length in the trailers", chunked(b"0\r\nContent-Length: 40\r\n\r\n" + SMUGGLED), 400),
    Probe("a coding in the trailers", chunked(b"0\r\nTransfer-Encoding: chunked\r\n\r\n" + SMUGGLED), 400),
    Probe("an end of the connection in the trailers", chunked(b"0\r\nConnection: close\r\n\r\n" + SMUGGLED), 400),
    Probe("the same to a proxy", chunked(b"0\r\nProxy-Connection: close\r\n\r\n" + SMUGGLED), 400),
    Probe("a request in the trailers", chunked(b"0\r\nGET /smuggled HTTP/1.1\r\n\r\n"), 400),
    Probe("a folded trailer", chunked(b"0\r\nX: y\r\n z\r\n\r\n"), 400),
    Probe("a trailer with a line feed", chunked(b"0\r\nX: y\n\r\n"), 400),
    Probe("a Host in the trailers", chunked(b"0\r\nHost: evil\r\n\r\n"), 200, False, 1),
    # First lines and fields.
    Probe("a tab in the first line", b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Probe("a space behind the version", b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
    Probe("a space before the method", b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Probe("a version in lower case", get(b"Host: a", version=b"http/1.1"), 400),
    Probe("a version with two digits", get(b"Host: a", version=b"HTTP/1.10"), 400),
    Probe("a space before the first field", b"GET / HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n", 400),
    Probe("one line feed among the line ends", b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400),
    Probe("a line feed as the end of the head", b"GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
    Probe("CR twice", b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", 400),
    Probe("ESC in a value", get(b"Host: a", b"X: a\x1b[31m"), 400),
    Probe("DEL in a value", get(b"Host: a", b"X: a\x7fb"), 400),
    Probe("a control byte in the target", get(b"Host: a", target=b"/\x01"), 400),
    # Hosts, and targets that bring their own.
    Probe("a Host with a user", get(b"Host: a@b"), 400),
    Probe("a Host with a space", get(b"Host: a b"), 400),
    Probe("a Host with a port that is none", get(b"Host: a:x"), 400),
    Probe("a Host that is none, in HTTP/1.0", get(b"Host: a/b", version=b"HTTP/1.0"), 400),
    Probe("a Host that is none, beside an absolute form", get(b"Host: a/b", target=b"http://a/"), 400),
    Probe("two Hosts beside an absolute form", get(b"Host: a", b"Host: b", target=b"http://a/"), 400),
    Probe("an absolute form without a host", get(b"Host: a", target=b"http:///x"), 400),
    Probe("an absolute form with a port that is none", get(b"Host: a", target=b"http://a:b/"), 400),
    Probe("a target without a slash", get(b"Host: a", target=b"a"), 400),
    # Ends of connections: what stands behind the last request is nobody's.
    Probe("behind close", get(b"Host: a", b"Connection: close") + SMUGGLED, 200, True, 1),
    Probe("behind close among others", get(b"Host: a", b"Connection: ,x, Close ,keep-alive") + SMUGGLED, 200, True, 1),
    Probe("behind close on a line of its own", get(b"Host: a", b"Connection: x", b"Connection: close"), 200, True, 1),
    Probe("behind close to a proxy", get(b"Host: a", b"Proxy-Connection: close") + SMUGGLED, 200, True, 1),
    Probe("what is not quite close", get(b"Host: a", b"Connection: xclose"), 200, False, 1),
    Probe("behind HTTP/1.0", get(version=b"HTTP/1.0") + SMUGGLED, 200, True, 1),
    Probe("what is not quite keep-alive", get(b"Connection: keep-alive2", version=b"HTTP/1.0"), 200, True, 1),
    Probe("behind an error", get() + SMUGGLED, 400),
    Probe("behind a refused body", post(b"Content-Length: x", body=b"") + SMUGGLED, 400),
    # Expectations.
    Probe("an expectation that nobody knows", post(b"Content-Length: 1", b"Expect: x", body=b"a"), 200, False, 1),
    Probe("an expectation without a body", post(b"Content-Length: 0", b"Expect: 100-continue"), 200, False, 1),
    # What is no handshake, or none that we serve.
    Probe("WebSocket without a word of Connection", get(b"Host: a", b"Upgrade: websocket"), 200, False, 1),
    Probe("chunks in a handshake", get(b"Host: a", b"Connection: Upgrade", b"Upgrade: websocket", CHUNKED), 400),
]


@pytest.mark.parametrize("probe", GADGETS, ids=lambda probe: probe.name)
async def test_no_request_is_hidden_in_another(probe: Probe):
    """P12. What could be cut in two ways is refused; what is not refused is cut in one."""
    assert b"/smuggled" not in await judge(probe)
