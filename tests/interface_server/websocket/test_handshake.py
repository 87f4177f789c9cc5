"""The first exchange of a WebSocket: as values, then over real sockets."""

from __future__ import annotations

import pytest

from interface_server.connections.interfaces import EndReason
from interface_server.http.response_head import InvalidResponse
from interface_server.settings import InterfaceSettings
from interface_server.websocket.handshake import BadHandshake, accept_token, accepted, check
from tests.support.facts import until
from tests.support.websocket_server import ACCEPT, RawClient, Served, client_frame, served, upgrade_request

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
GOOD = [(b"sec-websocket-version", b"13"), (b"sec-websocket-key", KEY)]


def test_the_accept_token_is_that_of_the_rfc() -> None:
    """RFC 6455, section 1.3."""
    assert accept_token(KEY) == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_a_good_head_gives_its_subprotocols_in_order_from_all_its_lines() -> None:
    offer = check([*GOOD, (b"sec-websocket-protocol", b"a, b"), (b"sec-websocket-protocol", b" c ,")])
    assert (offer.key, offer.subprotocols, offer.extensions) == (KEY, ["a", "b", "c"], b"")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (GOOD[1:], 426),
        ([(b"sec-websocket-version", b"12"), GOOD[1]], 426),
        ([(b"sec-websocket-version", b"13"), *GOOD], 426),
        (GOOD[:1], 400),
        ([GOOD[0], (b"sec-websocket-key", b"AAAA")], 400),
        ([GOOD[0], (b"sec-websocket-key", KEY[:-2])], 400),
        ([GOOD[0], (b"sec-websocket-key", b"*" + KEY[1:])], 400),
        ([*GOOD, GOOD[1]], 400),
        ([*GOOD, (b"sec-websocket-protocol", b"a b")], 400),
    ],
)
def test_a_head_that_is_no_websocket_of_ours_is_refused(headers: list[tuple[bytes, bytes]], status: int) -> None:
    """P12."""
    with pytest.raises(BadHandshake) as refusal:
        check(headers)
    assert refusal.value.status == status
    assert (b"sec-websocket-version: 13" in refusal.value.field) == (status == 426)


def test_the_101_carries_the_applications_headers_but_not_its_framing() -> None:
    head = accepted(
        KEY, "chat", [(b"set-cookie", b"a=b"), (b"Connection", b"close"), (b"sec-websocket-protocol", b"x")]
    )
    lines = head.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 101 Switching Protocols" and lines[-2:] == [b"", b""]
    assert b"sec-websocket-protocol: chat" in lines and b"set-cookie: a=b" in lines
    assert b"Connection: close" not in lines and b"sec-websocket-protocol: x" not in lines


@pytest.mark.parametrize(
    ("subprotocol", "headers"),
    [
        ("a\r\nb: c", ()),
        ("", ()),
        ("ü", ()),
        (None, [(b"a", b"b\r\nc: d")]),
        (None, [(b"a", b"b\nc")]),
        (None, [(b"a", b"\0")]),
        (None, [(b"a b", b"c")]),
        (None, [(b"", b"c")]),
    ],
)
def test_no_word_of_the_application_breaks_the_head(
    subprotocol: str | None, headers: list[tuple[bytes, bytes]]
) -> None:
    """P12. What would be read as more than one head never becomes bytes."""
    with pytest.raises(InvalidResponse):
        accepted(KEY, subprotocol, headers)


async def test_the_scope_is_that_of_asgi_and_the_connection_opens_when_the_application_accepts() -> None:
    async with served() as server:
        client, line = await server.connect(accept=False, extra=b"Sec-WebSocket-Protocol: chat, v2\r\nX-A: b\r\n")
        scope = line.scope
        assert (scope["type"], scope["scheme"], scope["http_version"]) == ("websocket", "ws", "1.1")
        assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/chat", b"/chat", b"room=lock")
        assert scope["subprotocols"] == ["chat", "v2"]
        assert [b"x-a", b"b"] in [list(field) for field in scope["headers"]]
        line.say({"type": "websocket.accept", "subprotocol": "v2", "headers": [(b"x-from", b"app")]})
        head = await client.head()
        assert head.startswith(b"HTTP/1.1 101 ") and b"\r\nx-from: app\r\n" in head
        assert b"\r\nsec-websocket-protocol: v2\r\n" in head
        assert b"\r\nserver: towpath\r\n" in head and b"\r\ndate: " in head


@pytest.mark.parametrize("status", [101, 403])
async def test_the_access_log_shows_a_handshake_as_it_came(caplog: pytest.LogCaptureFixture, status: int) -> None:
    """Without the root path, whatever becomes of it."""
    caplog.set_level("INFO", "towpath.access")
    async with served(InterfaceSettings(root_path="/mounted")) as server:
        client, line = await server.connect(accept=False)
        assert line.scope["raw_path"] == b"/mounted/chat"
        line.say(ACCEPT if status == 101 else {"type": "websocket.close", "code": 1000, "reason": ""})
        await client.head()
        client.vanish()
    (message,) = caplog.messages
    why = " (the application refused the WebSocket)" if status == 403 else ""
    assert message.endswith(f' - "GET /chat?room=lock HTTP/1.1" {status}{why}')


@pytest.mark.parametrize(
    ("request_bytes", "status", "line"),
    [
        (upgrade_request(version=b"12"), 426, b"sec-websocket-version: 13"),
        (upgrade_request(version=None), 426, b"sec-websocket-version: 13"),
        (upgrade_request(key=b"c2hvcnQ="), 400, b"connection: close"),
        (upgrade_request(extra=b"Sec-WebSocket-Protocol: a b\r\n"), 400, b"connection: close"),
    ],
)
async def test_a_bad_handshake_is_refused_and_never_queued(request_bytes: bytes, status: int, line: bytes) -> None:
    """P12."""
    async with served() as server:
        client = await client_of(server)
        client.send(request_bytes)
        answer = await client.rest()
        assert answer.startswith(b"HTTP/1.1 %d " % status) and line in answer
        assert server.backend.count == 0


@pytest.mark.parametrize("count", [100, 101])
async def test_a_client_may_offer_a_hundred_subprotocols_in_whatever_lines(count: int) -> None:
    """P5. The worker keeps them as long as the socket is open: 20 000 were 1.5 MiB."""
    names = [f"v{number}" for number in range(count)]
    lines = f"Sec-WebSocket-Protocol: {','.join(names[:50])}\r\nSec-WebSocket-Protocol: {', '.join(names[50:])}\r\n"
    async with served() as server:
        client = await client_of(server)
        client.send(upgrade_request(extra=lines.encode()))
        if count > 100:
            assert (await client.rest()).startswith(b"HTTP/1.1 400 ")
            assert server.backend.count == 0
        else:
            assert (await server.backend.next()).scope["subprotocols"] == names
            client.vanish()


async def client_of(server: Served) -> RawClient:
    return await RawClient.connect(server.port)


async def test_a_close_before_the_accept_is_403() -> None:
    async with served() as server:
        client, line = await server.connect(accept=False)
        line.say({"type": "websocket.close", "code": 4000, "reason": "no"})
        assert (await client.rest()).startswith(b"HTTP/1.1 403 ")
        assert await line.left() == (1006, "")
        client.vanish()
        await until(lambda: server.context.under_way == 0, "the socket is forgotten")


@pytest.mark.parametrize("end_reason", list(EndReason))
async def test_an_ending_before_the_accept_is_its_status_and_afterwards_its_close_code(end_reason: EndReason) -> None:
    """P6. Whatever happened behind us, the client gets a defined end."""
    async with served() as server:
        client, line = await server.connect(accept=False)
        line.client.end(end_reason)
        answer = await client.rest()
        assert answer.startswith(b"HTTP/1.1 %d " % end_reason.status)
        assert (b"\r\nretry-after: " in answer) == (end_reason.status == 503)
        client, line = await server.connect()
        line.client.end(end_reason)
        first, payload = await client.frame()
        assert (first, int.from_bytes(payload[:2], "big")) == (0x88, end_reason.close_code)
        client.send(client_frame(CLOSE, payload))
        assert await client.rest() == b""
        assert not line.gone.done(), "after its end the upstream hears nothing more"


async def test_a_denial_response_is_the_applications_own_and_streams() -> None:
    async with served() as server:
        client, line = await server.connect(accept=False)
        line.say({"type": "websocket.http.response.start", "status": 418, "headers": [(b"x-pot", b"tea")]})
        line.say({"type": "websocket.http.response.body", "body": b"short ", "more_body": True})
        head = await client.head()
        assert head.startswith(b"HTTP/1.1 418 ") and b"x-pot: tea" in head and b"connection: close" in head
        assert b"transfer-encoding: chunked" in head
        line.say({"type": "websocket.http.response.body", "body": b"and stout", "more_body": False})
        assert await client.rest() == b"6\r\nshort \r\n9\r\nand stout\r\n0\r\n\r\n"
        assert await line.left() == (1006, "")


async def test_a_denial_that_is_complete_at_once_has_a_length() -> None:
    async with served() as server:
        client, line = await server.connect(accept=False)
        line.say(
            {"type": "websocket.http.response.start", "status": 401, "headers": []},
            {"type": "websocket.http.response.body", "body": b"who?"},
        )
        answer = await client.rest()
        assert (
            answer.startswith(b"HTTP/1.1 401 ")
            and b"content-length: 4\r\n" in answer
            and answer.endswith(b"\r\n\r\nwho?")
        )


async def test_a_denial_that_is_cut_is_seen_to_be_cut() -> None:
    async with served() as server:
        client, line = await server.connect(accept=False)
        line.say({"type": "websocket.http.response.start", "status": 200, "headers": []})
        line.say({"type": "websocket.http.response.body", "body": b"half", "more_body": True})
        await client.head()
        line.client.end(EndReason.FAILED)
        assert not (await client.rest()).endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    "accept",
    [
        {"type": "websocket.accept", "subprotocol": "a\r\nx: y", "headers": []},
        {"type": "websocket.accept", "subprotocol": "not-offered", "headers": []},
        {"type": "websocket.accept", "headers": [(b"x", b"a\r\ny: z")]},
        {"type": "websocket.accept", "headers": [(b"x y", b"a")]},
        {"type": "websocket.send", "text": "too early"},
        {"type": "websocket.http.response.start", "status": 42, "headers": []},
        {"type": "websocket.http.response.start", "status": 200, "headers": [(b"x", b"a\r\ny: z")]},
    ],
)
async def test_an_illegal_answer_of_the_application_is_500_and_never_sent(accept: dict[str, object]) -> None:
    """P12."""
    async with served() as server:
        client, line = await server.connect(accept=False)
        line.say(accept)
        if accept["type"] == "websocket.http.response.start" and not line.gone.done():
            line.say({"type": "websocket.http.response.body", "body": b""})
        answer = await client.rest()
        assert answer.startswith(b"HTTP/1.1 500 ") and b"y: z" not in answer and b"x: y" not in answer
        assert await line.left() == (1011, "")


async def test_an_application_that_does_not_answer_in_time_is_504() -> None:
    async with served(InterfaceSettings(access_log=False, ws_accept_timeout_s=0.05)) as server:
        client, line = await server.connect(accept=False)
        assert (await client.rest()).startswith(b"HTTP/1.1 504 ")
        assert await line.left() == (1006, "")
        line.say(ACCEPT)  # late, and without effect


async def test_a_client_that_leaves_before_the_answer_is_left_at_once() -> None:
    """P3. While it is queued the application is never started."""
    async with served() as server:
        client, line = await server.connect(accept=False)
        client.vanish()
        assert await line.left() == (1006, "")
        await until(lambda: server.context.under_way == 0, "the socket is forgotten")


async def test_what_a_client_says_before_it_is_accepted_is_held_and_delivered_after() -> None:
    """P1."""
    async with served() as server:
        client, line = await server.connect(accept=False, behind=client_frame(TEXT, b"first"))
        client.send(client_frame(BINARY, b"second"))
        line.say(ACCEPT)
        assert await line.heard() == {"type": "websocket.receive", "text": "first"}
        assert await line.heard() == {"type": "websocket.receive", "bytes": b"second"}


async def test_what_is_held_before_the_accept_is_bounded() -> None:
    """P5. Above the bound the socket is not read, so the client's own writes wait; nothing is lost."""
    async with served() as server:
        client, line = await server.connect(accept=False)
        size, count = 60_000, 100
        client.send(client_frame(BINARY, bytes(size)) * count)
        socket = line.client
        await until(lambda: socket._reader.paused, "reading is paused")
        assert len(socket._reader._held) < 65_536 + 262_144 + 1  # the bound and one read
        line.say(ACCEPT)
        for _ in range(count):
            assert len((await line.heard())["bytes"]) == size


async def test_above_the_limit_of_connections_a_handshake_is_503() -> None:
    async with served(InterfaceSettings(access_log=False, limit_concurrency=1)) as server:
        _, _line = await server.connect()
        late = await client_of(server)
        late.send(upgrade_request())
        assert (await late.rest()).startswith(b"HTTP/1.1 503 ")


async def test_all_sockets_can_be_told_to_leave() -> None:
    async with served() as server:
        client, line = await server.connect()
        waiting, _ = await server.connect(accept=False)
        server.factory.websockets.close_all()
        assert await client.frame() == (0x88, (1012).to_bytes(2, "big") + b"the server is stopping")
        assert (await waiting.rest()).startswith(b"HTTP/1.1 503 ")
        assert await line.left() == (1012, "the server is stopping")
