"""One WebSocket as the application and the line live through it."""

from __future__ import annotations

import asyncio
import gc

import pytest

from tests.support.facts import until
from worker.asgi.instance import AsgiInstance
from worker.connections.interfaces import Close
from worker.errors import ClientGone, InvalidEvent, WrongOrder

ACCEPT = {"type": "websocket.accept"}


def text(value: str) -> dict[str, str]:
    return {"type": "websocket.receive", "text": value}


async def test_an_echo_hears_and_says_everything_in_order(hosts, new_downstream, websocket_scope):
    """P1. connect, messages (the empty one too), and one disconnect with its code and reason."""
    heard = []

    async def application(scope, receive, send):
        assert scope["extensions"]["websocket.http.response"] == {}
        while True:
            event = await receive()
            heard.append(event)
            if event["type"] == "websocket.connect":
                await send(ACCEPT | {"subprotocol": "chat", "headers": [(b"x-a", b"1")]})
            elif event["type"] == "websocket.receive":
                await send({"type": "websocket.send", "text": event["text"]})
            else:
                return

    downstream = new_downstream()
    host = await hosts.open(application)
    run = host.start(websocket_scope(), b"", False, downstream)
    await downstream.until(lambda downstream: downstream.events)
    for value in ("ä", "", "c"):
        run.deliver(text(value), 64 + len(value.encode()))
    await downstream.until(lambda downstream: len(downstream.events) == 4)
    run.disconnect(4001, "bye")
    await until(lambda: not host.running_count)
    assert downstream.events == [
        ACCEPT | {"subprotocol": "chat", "headers": [(b"x-a", b"1")]},
        {"type": "websocket.send", "text": "ä"},
        {"type": "websocket.send", "text": ""},
        {"type": "websocket.send", "text": "c"},
    ]
    assert downstream.sizes == [64, 66, 64, 65]
    assert downstream.consumed_bytes == [66, 64, 65]
    assert heard[-1] == {"type": "websocket.disconnect", "code": 4001, "reason": "bye"}
    assert downstream.last_words == []


async def test_messages_that_came_before_the_disconnect_are_heard_before_it(hosts, new_downstream, websocket_scope):
    """P1. A client that says something and leaves at once was heard."""
    heard = []

    async def application(scope, receive, send):
        while not heard or heard[-1]["type"] != "websocket.disconnect":
            heard.append(await receive())

    host = await hosts.open(application)
    run = host.start(websocket_scope(), b"", False, new_downstream())
    run.deliver(text("last words"), 74)
    run.disconnect(1001, "")
    await until(lambda: not host.running_count)
    assert [event["type"] for event in heard] == ["websocket.connect", "websocket.receive", "websocket.disconnect"]


async def test_the_disconnect_is_told_exactly_once(hosts, new_downstream, websocket_scope):
    """P8. Asking again is an error of the application's: neither an endless wait nor an endless loop."""
    raised = []

    async def application(scope, receive, send):
        while (await receive())["type"] != "websocket.disconnect":
            pass
        try:
            await receive()
        except RuntimeError as error:
            raised.append(error)

    host = await hosts.open(application)
    host.start(websocket_scope(), b"", False, new_downstream()).disconnect(1006, "")
    await until(lambda: not host.running_count)
    assert isinstance(raised[0], WrongOrder)


async def test_send_after_the_client_left_is_an_oserror(hosts, new_downstream, websocket_scope):
    """ASGI 2.4: whoever sends into a closed socket hears it from `send()` itself."""
    raised = []

    async def application(scope, receive, send):
        await send(ACCEPT)
        await receive()
        await receive()
        try:
            await send({"type": "websocket.send", "text": "anyone?"})
        except OSError as error:
            raised.append(error)

    downstream = new_downstream()
    host = await hosts.open(application)
    run = host.start(websocket_scope(), b"", False, downstream)
    await downstream.until(lambda downstream: downstream.events)
    run.disconnect(1005, "")
    await until(lambda: not host.running_count)
    assert isinstance(raised[0], ClientGone)


async def test_an_application_that_closes_hears_its_own_code_and_then_is_over(hosts, new_downstream, websocket_scope):
    """The application's close ends both directions for it; what the client still says is dropped."""
    heard, closed = [], asyncio.Event()

    async def application(scope, receive, send):
        await send(ACCEPT)
        await receive()
        await send({"type": "websocket.close", "code": 3000, "reason": "enough"})
        closed.set()
        heard.append(await receive())

    downstream = new_downstream()
    host = await hosts.open(application)
    run = host.start(websocket_scope(), b"", False, downstream)
    await closed.wait()
    run.deliver(text("late"), 68)
    assert await downstream.over() == [Close.FINISHED]
    assert downstream.events[-1] == {"type": "websocket.close", "code": 3000, "reason": "enough"}
    assert heard == [{"type": "websocket.disconnect", "code": 3000, "reason": "enough"}]


async def test_a_rejection_is_a_close_before_the_accept(hosts, new_downstream, websocket_scope):
    """The interface server makes 403 of it; the application hears 1006."""
    heard = []

    async def application(scope, receive, send):
        await receive()
        await send({"type": "websocket.close"})
        heard.append(await receive())

    downstream = new_downstream()
    (await hosts.open(application)).start(websocket_scope(), b"", False, downstream)
    await downstream.over()
    assert downstream.events == [{"type": "websocket.close", "code": 1000, "reason": ""}]
    assert heard[0]["code"] == 1006


async def test_a_denial_response_is_an_http_response_to_the_handshake(hosts, new_downstream, websocket_scope):
    """ASGI's extension `websocket.http.response`: status, fields, and a streamed body; nothing after it."""
    raised = []

    async def application(scope, receive, send):
        await send({"type": "websocket.http.response.start", "status": 401, "headers": [(b"a", b"b")]})
        await send({"type": "websocket.http.response.body", "body": b"who ", "more_body": True})
        await send({"type": "websocket.http.response.body", "body": b"are you?"})
        try:
            await send(ACCEPT)
        except RuntimeError as error:
            raised.append(error)

    downstream = new_downstream()
    (await hosts.open(application)).start(websocket_scope(), b"", False, downstream)
    assert await downstream.over() == [Close.FINISHED]
    assert (downstream.status, downstream.body) == (401, b"who are you?")
    assert isinstance(raised[0], WrongOrder)


@pytest.mark.parametrize(
    "message", [{"text": "ä€" * 60_000}, {"bytes": bytes(range(256)) * 800}, {"text": "x" * 65_537}]
)
async def test_a_long_message_is_cut_into_parts_that_nothing_comes_between(
    hosts, new_downstream, websocket_scope, message
):
    """P1. Parts of at most 64 KiB, characters whole, `more_body` on all but the last; a second sender waits its turn."""

    async def application(scope, receive, send):
        await send(ACCEPT)
        big = send({"type": "websocket.send"} | message)
        await asyncio.gather(big, send({"type": "websocket.send", "text": "small"}))

    downstream = new_downstream()
    (await hosts.open(application)).start(websocket_scope(), b"", False, downstream)
    await downstream.over()
    (key, value) = next(iter(message.items()))
    parts = downstream.events[1:-1]
    assert value[:0].join(part[key] for part in parts) == value
    assert [part.get("more_body", False) for part in parts] == [True] * (len(parts) - 1) + [False]
    assert max(downstream.sizes) <= 65_536 + 64
    assert downstream.events[-1] == {"type": "websocket.send", "text": "small"}


@pytest.mark.parametrize(
    ("events", "error", "words"),
    [
        ([{"type": "websocket.send", "text": "x"}], WrongOrder, "has not been answered"),
        ([ACCEPT, ACCEPT], WrongOrder, "is open"),
        ([ACCEPT, {"type": "websocket.close"}, {"type": "websocket.send", "text": "x"}], WrongOrder, "has closed"),
        ([ACCEPT, {"type": "websocket.http.response.start", "status": 200}], WrongOrder, "is open"),
        ([ACCEPT, {"type": "http.response.start", "status": 200}], InvalidEvent, "no event of this protocol"),
        ([ACCEPT, {"type": "websocket.send"}], InvalidEvent, "exactly one"),
        ([ACCEPT, {"type": "websocket.send", "text": "a", "bytes": b"b"}], InvalidEvent, "exactly one"),
        ([ACCEPT, {"type": "websocket.send", "text": b"a"}], InvalidEvent, "text is of type bytes"),
        ([ACCEPT, {"type": "websocket.send", "bytes": "a"}], InvalidEvent, "bytes is of type str"),
        ([ACCEPT, {"type": "websocket.send", "text": "\ud800"}], InvalidEvent, "surrogate"),
        ([ACCEPT, {"type": "websocket.close", "code": 1006}], InvalidEvent, "1006"),
        ([ACCEPT, {"type": "websocket.close", "code": "1000"}], InvalidEvent, "code"),
        ([ACCEPT, {"type": "websocket.close", "reason": "ä" * 62}], InvalidEvent, "123"),
        ([ACCEPT | {"subprotocol": "a\r\nb"}], InvalidEvent, "subprotocol"),
        ([ACCEPT | {"subprotocol": "v2"}], InvalidEvent, "'v2', which the client did not offer .it offered: chat"),
        ([ACCEPT | {"headers": [(b"a", b"b\n")]}], InvalidEvent, r"headers\[0\]\[1\]"),
    ],
)
async def test_what_may_not_be_sent_raises_inside_the_application(
    hosts, new_downstream, saying, websocket_scope, events, error, words
):
    """P12. Nothing of it reaches the client."""
    application, downstream = saying(events), new_downstream()
    (await hosts.open(application)).start(websocket_scope(), b"", False, downstream)
    await downstream.over()
    with pytest.raises(error, match=words):
        raise application.raised
    assert len(downstream.events) == len(events) - 1


async def test_a_subprotocol_that_was_not_offered_is_the_applications_failure_and_can_be_mended_by_it(
    hosts, new_downstream, websocket_scope, caplog
):
    """P12. RFC 6455, 4.1: the client would have to fail the connection. Who catches the error may accept without it."""

    async def application(scope, receive, send):
        try:
            await send(ACCEPT | {"subprotocol": "v2"})
        except ValueError:
            if scope["path"] == "/raise":
                raise
            await send(ACCEPT)
            await receive()
            await receive()

    host = await hosts.open(application)
    failed, mended = new_downstream(), new_downstream("interface.y!5")
    host.start(websocket_scope("/raise", subprotocols=[]), b"", False, failed)
    assert await failed.over() == [Close.FAILED]
    assert failed.events == []
    assert "InvalidEvent: subprotocol is 'v2', which the client did not offer (it offered: none)" in caplog.text
    run = host.start(websocket_scope(subprotocols=[]), b"", False, mended)
    await mended.until(lambda downstream: downstream.events)
    assert [event["subprotocol"] for event in mended.events] == [None]
    run.disconnect(1000, "")


@pytest.mark.parametrize("accepted", [True, False])
async def test_how_an_application_ends_is_told_to_the_clients_side(
    hosts, new_downstream, websocket_scope, accepted, caplog
):
    """Returned: finished; raised: failed, with a traceback in the log. The interface server knows whether it had accepted."""

    async def application(scope, receive, send):
        if accepted:
            await send(ACCEPT)
        if scope["path"] == "/raise":
            raise LookupError("lost")

    host = await hosts.open(application)
    returned, failed = new_downstream(), new_downstream("interface.y!5")
    host.start(websocket_scope(), b"", False, returned)
    assert await returned.over() == [Close.FINISHED]
    assert ("returned" in caplog.text) is not accepted
    host.start(websocket_scope("/raise"), b"", False, failed)
    assert await failed.over() == [Close.FAILED]
    assert "interface.y!5" in caplog.text and "LookupError: lost" in caplog.text


async def test_slots_of_websockets_are_counted_apart_from_exchanges(hosts, new_downstream, websocket_scope, http_scope):
    """Sockets that are open for days must not use up the capacity for requests."""

    async def application(scope, receive, send):
        while (await receive())["type"] != "websocket.disconnect":
            pass

    host = await hosts.open(application, websockets=2, concurrency=5)
    runs = [host.start(websocket_scope(), b"", False, new_downstream()) for _ in range(2)]
    assert (host.free("websocket"), host.free("http")) == (0, 5)
    runs[0].disconnect(1000, "")
    await until(lambda: host.running_count == 1)
    assert host.free("websocket") == 1


@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_an_application_that_keeps_our_methods_in_its_scope_leaves_nothing_to_the_garbage_collector(
    kind, hosts, new_downstream, http_scope, websocket_scope
):
    """P5. Middleware does that: the scope is what all parts of an application see."""

    async def application(scope, receive, send):
        scope["send"], scope["receive"] = send, receive
        await receive()

    def instances() -> int:
        return sum(issubclass(type(each), AsgiInstance) for each in gc.get_objects())

    host = await hosts.open(application)
    scope = http_scope() if kind == "http" else websocket_scope()
    gc.collect()
    gc.disable()
    before = instances()
    try:
        host.start(scope, b"", False, new_downstream())
        del scope
        assert instances() == before + 1
        await until(lambda: instances() == before)
    finally:
        gc.enable()
