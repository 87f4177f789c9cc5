"""One HTTP exchange as the application and the line live through it."""

from __future__ import annotations

import asyncio
import copy
import logging

import pytest

from channel_layer.protocol.scope import Scope, ScopeReader
from tests.support.facts import until
from worker.asgi.http_state import (
    COMPLETE,
    DISCARDED_EVENTS_AT_ANY_TIME,
    DISCARDED_EVENTS_MAX,
    DISCARDED_S_MAX,
    GONE,
    DiscardedEvents,
    announces_length,
)
from worker.connections.interfaces import Close
from worker.errors import ClientGone, InvalidEvent, WrongOrder

START = {"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"1")]}
DEADLINE_S = 10.0


async def test_a_response_leaves_in_order_and_is_complete_once(hosts, new_downstream, http_scope):
    """P1. Start, body, body, and the one last word."""

    async def application(scope, receive, send):
        await send(START)
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await send({"type": "http.response.body", "body": b"two"})

    downstream = new_downstream()
    host = await hosts.open(application)
    host.start(http_scope(), b"", False, downstream)
    assert await downstream.over() == ["complete"]
    assert downstream.events == [
        START,
        {"type": "http.response.body", "body": b"one", "more_body": True},
        {"type": "http.response.body", "body": b"two", "more_body": False},
    ]
    assert downstream.sizes == [64, 67, 67]


async def test_an_application_that_ends_within_the_making_of_its_task_frees_its_capacity(
    hosts, new_downstream, http_scope
):
    """An eager task factory (Python 3.12 has one) runs the first step at once, and that may be the last one too."""

    class Done(asyncio.Future):
        def set_name(self, name):
            """A task's; Python 3.13 calls it."""

    def eager(loop, coroutine, context=None, **named):
        task = Done(loop=loop)
        with pytest.raises(StopIteration):
            context.run(coroutine.send, None)
        task.set_result(None)
        return task

    async def application(scope, receive, send):
        await send(START)
        await send({"type": "http.response.body", "body": b"at once"})

    host = await hosts.open(application, concurrency=3)
    free = host.free("http")
    asyncio.get_running_loop().set_task_factory(eager)
    try:
        for _ in range(5):
            downstream = new_downstream()
            host.start(http_scope(), b"", False, downstream)
            assert downstream.last_words == ["complete"]
            assert host.free("http") == free
    finally:
        asyncio.get_running_loop().set_task_factory(None)


async def test_the_scope_is_completed_and_has_the_types_of_asgi(hosts, new_downstream, http_scope):
    """Lists of a packet become ASGI's tuples; `asgi` and the reply channel are added; no lifespan means no state."""
    seen = {}

    async def application(scope, receive, send):
        seen.update(scope)

    downstream = new_downstream("interface.q9!3")
    host = await hosts.open(application)
    travelled = Scope(http_scope(headers=[[b"a", b"b"], [b"a", b"c"]])).pieces
    host.start(ScopeReader().read(travelled), b"", False, downstream)
    await downstream.over()
    assert seen["asgi"] == {"version": "3.0", "spec_version": "2.3"}
    assert seen["headers"] == [(b"a", b"b"), (b"a", b"c")]
    assert seen["client"] == ("127.0.0.1", 50_000)
    assert seen["extensions"] == {"towpath.channel": {"reply_channel": "interface.q9!3"}}
    assert "state" not in seen


@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_what_is_written_into_a_scope_is_not_found_in_the_next(
    hosts, new_downstream, http_scope, websocket_scope, kind
):
    """P2. Middleware writes into scopes; a word left there for one client would be another's to read."""
    seen = []

    async def application(scope, receive, send):
        seen.append(copy.deepcopy(scope))
        scope["asgi"]["version"] = "9"
        for extension in scope["extensions"].values():
            extension["secret"] = "of the first"
        scope["headers"].append((b"x", b"y"))

    host = await hosts.open(application)
    for _ in range(2):
        downstream = new_downstream()
        host.start(http_scope() if kind == "http" else websocket_scope(), b"", False, downstream)
        await downstream.over()
    assert seen[0] == seen[1]


async def test_the_body_arrives_part_by_part_and_is_paid_for_when_it_is_received(hosts, new_downstream, http_scope):
    """P1, P5. The first part is free; each further one gives credit as receive() returns it, and not before."""
    received, go_on = [], asyncio.Event()

    async def application(scope, receive, send):
        received.append(await receive())
        await go_on.wait()
        while received[-1].get("more_body"):
            received.append(await receive())

    downstream = new_downstream()
    host = await hosts.open(application)
    run = host.start(http_scope("POST"), b"first", True, downstream)
    run.deliver({"type": "http.request", "body": b"second", "more_body": True}, 70)
    run.deliver({"type": "http.request", "body": b"", "more_body": False}, 64)
    await downstream.until(lambda downstream: downstream.wanted_calls)
    assert downstream.consumed_bytes == []
    go_on.set()
    await downstream.over()
    assert [event["body"] for event in received] == [b"first", b"second", b""]
    assert downstream.consumed_bytes == [70, 64]
    assert downstream.wanted_calls == 1


async def test_a_body_that_nobody_reads_is_never_wanted(hosts, new_downstream, http_scope):
    """`100 Continue` is for an application that asks: one that answers 413 at once never makes the client send."""

    async def application(scope, receive, send):
        await send(START | {"status": 413})
        await send({"type": "http.response.body"})

    downstream = new_downstream()
    (await hosts.open(application)).start(http_scope("POST"), b"", True, downstream)
    await downstream.over()
    assert downstream.wanted_calls == 0


async def test_receive_after_the_body_waits_for_the_disconnect_and_then_repeats_it(hosts, new_downstream, http_scope):
    """P8. A client that leaves is told once the application asks, as often as it asks; the instance says nothing more."""
    received = []

    async def application(scope, receive, send):
        for _ in range(4):
            received.append((await receive())["type"])
        await send(START)
        await send({"type": "http.response.body"})

    downstream = new_downstream()
    host = await hosts.open(application)
    run = host.start(http_scope(), b"", False, downstream)
    await until(lambda: received)
    run.disconnect(1006, "")
    await until(lambda: not host.running_count)
    assert received == ["http.request", *["http.disconnect"] * 3]
    assert downstream.last_words == [] and downstream.events == []


async def test_a_complete_response_wakes_whoever_waits_for_the_disconnect(hosts, new_downstream, http_scope):
    """Frameworks listen for the disconnect beside the response; without this they would wait for ever."""
    heard = []

    async def application(scope, receive, send):
        await receive()
        listener = asyncio.create_task(receive())
        await asyncio.sleep(0)
        await send(START)
        await send({"type": "http.response.body"})
        heard.append(await listener)

    downstream = new_downstream()
    host = await hosts.open(application)
    host.start(http_scope(), b"", False, downstream)
    await until(lambda: heard and not host.running_count)
    assert heard == [{"type": "http.disconnect"}]
    assert downstream.last_words == ["complete"]


async def test_send_waits_while_there_is_no_credit(hosts, new_downstream, http_scope):
    """P5. The application goes at the client's pace."""
    sent = []

    async def application(scope, receive, send):
        await send(START)
        for number in range(3):
            await send({"type": "http.response.body", "body": b"x", "more_body": number < 2})
            sent.append(number)

    downstream = new_downstream()
    downstream.has_credit = False
    host = await hosts.open(application)
    run = host.start(http_scope(), b"", False, downstream)
    await downstream.until(lambda downstream: downstream.events)
    assert sent == []
    downstream.has_credit = True
    run.resume()
    assert await downstream.over() == ["complete"]
    assert sent == [0, 1, 2]


async def test_a_client_that_leaves_ends_a_send_that_waits(hosts, new_downstream, http_scope):
    """A stalled client that is thrown out must not keep its application waiting; nor does it make it fail."""
    went_on = []

    async def application(scope, receive, send):
        await send(START)
        went_on.append(await receive())
        went_on.append(await receive())

    downstream = new_downstream()
    downstream.has_credit = False
    host = await hosts.open(application)
    run = host.start(http_scope(), b"", False, downstream)
    await downstream.until(lambda downstream: downstream.events)
    run.disconnect(1006, "")
    await until(lambda: not host.running_count)
    assert [event["type"] for event in went_on] == ["http.disconnect", "http.disconnect"]


def one_part_at_a_time(downstream):
    """The client's window closes behind each part of a body."""
    plain_send = downstream.send

    def send(event, size_bytes):
        plain_send(event, size_bytes)
        downstream.has_credit = event["type"] == "http.response.start"
        return downstream.has_credit

    downstream.send = send


async def test_a_response_that_another_task_completes_ends_a_body_that_waits(hosts, new_downstream, http_scope):
    """P1. Two tasks send at once: what waits may not follow the last event, and waits for no credit that never comes."""
    raised = []

    async def application(scope, receive, send):
        async def send_long_body():
            try:
                await send({"type": "http.response.body", "body": bytes(200_000)})
            except WrongOrder as error:
                raised.append(str(error))

        await send(START)
        sending = asyncio.create_task(send_long_body())
        await until(lambda: len(downstream.events) == 2)
        await send({"type": "http.response.body", "body": b"the end"})
        await sending
        raised.append((await receive())["type"])

    downstream = new_downstream()
    one_part_at_a_time(downstream)
    host = await hosts.open(application)
    run = host.start(http_scope(), b"", False, downstream)
    await until(lambda: not host.running_count)
    assert raised == [
        "'http.response.body' cannot be sent now: the response is complete; expected nothing",
        "http.disconnect",
    ]
    assert [len(event["body"]) for event in downstream.events[1:]] == [65_536, 7]
    assert downstream.last_words == ["complete"]
    assert run._stage is COMPLETE and run._senders == ()


async def test_a_long_body_that_another_task_interrupts_goes_on_while_the_response_is_open(
    hosts, new_downstream, http_scope
):
    """P1. What two tasks send is mixed, as the application asked for; the response is complete once."""

    async def application(scope, receive, send):
        await send(START)
        sending = asyncio.create_task(send({"type": "http.response.body", "body": bytes(100_000)}))
        await until(lambda: len(downstream.events) == 2)
        between = asyncio.create_task(send({"type": "http.response.body", "body": b"between", "more_body": True}))
        await until(lambda: len(downstream.events) == 3)
        downstream.has_credit = True
        run.resume()
        await asyncio.gather(sending, between)

    downstream = new_downstream()
    one_part_at_a_time(downstream)
    host = await hosts.open(application)
    run = host.start(http_scope(), b"", False, downstream)
    assert await downstream.over() == ["complete"]
    await until(lambda: not host.running_count)
    assert [len(event["body"]) for event in downstream.events[1:]] == [65_536, 7, 34_464]
    assert [event["more_body"] for event in downstream.events[1:]] == [True, True, False]


async def test_a_client_that_leaves_in_the_middle_of_a_long_body_is_gone_for_good(hosts, new_downstream, http_scope):
    """The rest of the body is dropped: it neither reaches a connection that is over nor completes the response."""
    went_on = []

    async def application(scope, receive, send):
        await send(START)
        await send({"type": "http.response.body", "body": bytes(200_000)})
        went_on.append((await receive())["type"])

    downstream = new_downstream()
    one_part_at_a_time(downstream)
    host = await hosts.open(application)
    run = host.start(http_scope(), b"", False, downstream)
    await downstream.until(lambda downstream: len(downstream.events) == 2)
    downstream.has_credit = True  # the credit and the news come in one turn
    run.resume()
    run.disconnect(1006, "")
    await until(lambda: not host.running_count)
    assert went_on == ["http.disconnect"]
    assert (len(downstream.events), downstream.last_words) == (2, [])
    assert run._stage is GONE


async def test_whatever_is_said_to_a_client_that_has_left_is_dropped(hosts, new_downstream, http_scope, caplog):
    """ASGI 2.3, which the scope announces: no `send()` raises, whether the response had begun or not, nonsense included."""
    said = []

    async def application(scope, receive, send):
        if scope["path"] == "/begun":
            await send(START)
        while (await receive())["type"] != "http.disconnect":
            pass
        for event in (START, {"type": "http.response.body", "body": bytes(200_000)}, {"type": "odd"}, None):
            await send(event)
            said.append(event)

    host = await hosts.open(application)
    for path in ("/", "/begun"):
        downstream = new_downstream()
        run = host.start(http_scope(path=path), b"", False, downstream)
        if path == "/begun":
            await downstream.until(lambda downstream: downstream.events)
        before = len(downstream.events)
        run.disconnect(1006, "")
        await until(lambda: not host.running_count)
        assert len(downstream.events) == before and downstream.last_words == []
    assert len(said) == 8 and caplog.text == ""


@pytest.mark.parametrize(
    ("headers", "events", "passed_s", "endless"),
    [
        ([], DISCARDED_EVENTS_MAX, 1.0, False),
        ([], DISCARDED_EVENTS_MAX + 1, 1.0, True),
        ([(b"Content-Length", b"7")], DISCARDED_EVENTS_MAX + 1, 1.0, False),
        ([], DISCARDED_EVENTS_AT_ANY_TIME, 2 * DISCARDED_S_MAX, False),
        ([], DISCARDED_EVENTS_AT_ANY_TIME + 1, DISCARDED_S_MAX - 1.0, False),
        ([], DISCARDED_EVENTS_AT_ANY_TIME + 1, DISCARDED_S_MAX, True),
        ([(b"content-length", b"7")], DISCARDED_EVENTS_AT_ANY_TIME + 1, DISCARDED_S_MAX, True),
    ],
)
def test_an_application_goes_on_and_on_by_number_or_by_time(headers, events, passed_s, endless):
    """P5. On both sides of each limit. A response that has said its length ends by itself, but not at any time."""
    discarded = DiscardedEvents(100.0, announces_length(START | {"headers": headers}))
    before = [discarded.count_event(100.0) for _ in range(events - 1)]
    assert not any(before)
    assert discarded.count_event(100.0 + passed_s) is endless


@pytest.mark.parametrize("start", [None, {}, "start", {"type": "http.response.body"}, START, START | {"headers": 7}])
def test_what_announces_no_length_announces_none(start):
    """Nobody has checked what is said to a client that has left."""
    assert not announces_length(start)


async def test_a_stream_without_an_end_hears_that_its_client_has_left(hosts, new_downstream, http_scope):
    """P5. Others run meanwhile, and after it."""
    caught = []

    async def application(scope, receive, send):
        await send(START)
        try:
            while True:
                await send({"type": "http.response.body", "body": b".", "more_body": True})
                if not downstream.has_credit:
                    turns.append(1)
        except OSError as error:
            caught.append(error)

    turns, downstream = [], new_downstream()
    downstream.has_credit = False
    host = await hosts.open(application)
    run = host.start(http_scope(), b"", False, downstream)
    await downstream.until(lambda downstream: downstream.events)
    run.disconnect(1006, "")
    await until(lambda: turns)
    assert host.running_count, "it lets others run before it is stopped"
    await until(lambda: not host.running_count)
    assert isinstance(caught[0], ClientGone)


async def test_two_tasks_that_wait_in_send_do_not_cancel_each_other(hosts, new_downstream, http_scope):
    """Each waits for itself: a cancelled sender takes nobody along."""
    outcome = []

    async def application(scope, receive, send):
        await send(START)
        first = asyncio.create_task(send({"type": "http.response.body", "body": b"1", "more_body": True}))
        second = asyncio.create_task(send({"type": "http.response.body", "body": b"2", "more_body": True}))
        await until(lambda: len(downstream.events) == 3)
        first.cancel()
        downstream.has_credit = True
        run.resume()
        outcome.extend(await asyncio.gather(first, second, return_exceptions=True))
        await send({"type": "http.response.body"})

    downstream = new_downstream()
    host = await hosts.open(application)

    def close_after_start(event, size_bytes, send=downstream.send):
        send(event, size_bytes)
        downstream.has_credit = event["type"] == "http.response.start"
        return downstream.has_credit

    downstream.send = close_after_start
    run = host.start(http_scope(), b"", False, downstream)
    assert await downstream.over() == ["complete"]
    assert isinstance(outcome[0], asyncio.CancelledError) and outcome[1] is None


async def test_a_long_body_is_cut_and_waits_between_its_parts(hosts, new_downstream, http_scope):
    """P5. A body of 200 000 bytes in one event leaves in parts of at most 64 KiB, each when there is credit."""

    async def application(scope, receive, send):
        await send(START)
        await send({"type": "http.response.body", "body": bytes(200_000)})

    downstream = new_downstream()
    host = await hosts.open(application)
    one_at_a_time = downstream.send

    def send(event, size_bytes):
        one_at_a_time(event, size_bytes)
        downstream.has_credit = event["type"] == "http.response.start"
        return downstream.has_credit

    downstream.send = send
    run = host.start(http_scope(), b"", False, downstream)
    for parts in range(1, 5):
        await downstream.until(lambda downstream, parts=parts: len(downstream.events) > parts)
        assert len(downstream.events) == 1 + parts
        downstream.has_credit = True
        run.resume()
    assert await downstream.over() == ["complete"]
    assert [len(event["body"]) for event in downstream.events[1:]] == [65_536, 65_536, 65_536, 3392]
    assert [event["more_body"] for event in downstream.events[1:]] == [True, True, True, False]


async def test_cancelling_receive_loses_no_event(hosts, new_downstream, http_scope):
    """P1. Frameworks cancel receive() as they like; a part that arrives in the same moment is there for the next call."""
    received = []

    async def application(scope, receive, send):
        await receive()
        asking = asyncio.create_task(receive())
        await asyncio.sleep(0)
        run.deliver({"type": "http.request", "body": b"late", "more_body": False}, 68)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        received.append(await receive())

    downstream = new_downstream()
    host = await hosts.open(application)
    run = host.start(http_scope("POST"), b"", True, downstream)
    await downstream.over()
    assert received[0]["body"] == b"late"
    assert downstream.consumed_bytes == [68]


async def test_polling_for_the_disconnect_leaves_nothing_behind(hosts, new_downstream, http_scope):
    """P5. An application that asks and cancels a thousand times keeps no thousand futures."""

    async def application(scope, receive, send):
        await receive()
        for _ in range(1000):
            asking = asyncio.ensure_future(receive())
            await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait([asking])
        await send(START)
        await send({"type": "http.response.body", "body": str(len(run._receivers)).encode()})

    downstream = new_downstream()
    run = (await hosts.open(application)).start(http_scope(), b"", False, downstream)
    await downstream.over()
    assert downstream.body == b"0"


@pytest.mark.parametrize(
    ("events", "error", "words"),
    [
        ([{"type": "http.response.body"}], WrongOrder, "has not started"),
        ([START, START], WrongOrder, "has started"),
        ([START, {"type": "http.response.body"}, {"type": "http.response.body"}], WrongOrder, "is complete"),
        ([{"type": "http.response.push"}], InvalidEvent, "'http.response.push'"),
        ([{"status": 200}], InvalidEvent, "type"),
        (["http.response.start"], InvalidEvent, "dict"),
        ([{"type": ["http.response.start"]}], InvalidEvent, "type"),
        ([START | {"status": "200"}], InvalidEvent, "status"),
        ([START | {"status": 99}], InvalidEvent, "99"),
        ([START | {"status": 103}], InvalidEvent, "status is 103, which is not from 200 to 999"),
        ([START | {"status": None}], InvalidEvent, "NoneType"),
        ([START | {"headers": [("x-a", "1")]}], InvalidEvent, r"headers\[0\]\[0\]"),
        ([START | {"headers": [(b"a", b"b"), (b"x-a", b"1\r\nset-cookie: x")]}], InvalidEvent, r"headers\[1\]\[1\]"),
        (
            [START | {"headers": [(b"x-a", b"tab\tis fine"), (b"x-a", b"\x1b[2J")]}],
            InvalidEvent,
            r"headers\[1\]\[1\].*control",
        ),
        ([START | {"headers": [(b"x-a", b"\x7f")]}], InvalidEvent, "control"),
        ([START | {"headers": [(b"x a", b"1")]}], InvalidEvent, "header name"),
        ([START | {"headers": [(b"x-a", b"1", b"2")]}], InvalidEvent, "pair"),
        ([START | {"headers": 7}], InvalidEvent, "headers"),
        ([START, {"type": "http.response.body", "body": "text"}], InvalidEvent, "body is of type str"),
    ],
)
async def test_what_may_not_be_sent_raises_inside_the_application(
    hosts, new_downstream, saying, http_scope, events, error, words
):
    """P12. The traceback shows the line of the application that was wrong, and nothing of it reaches the client."""
    application, downstream = saying(events), new_downstream()
    host = await hosts.open(application)
    host.start(http_scope(), b"", False, downstream)
    await until(lambda: application.raised and not host.running_count)
    with pytest.raises(error, match=words):
        raise application.raised
    assert len(downstream.events) == len(events) - 1


async def test_values_are_copied_into_plain_types(hosts, new_downstream, http_scope):
    """An event that is on its way cannot be changed by the application any more, and holds ASGI's types alone."""
    from http import HTTPStatus

    async def application(scope, receive, send):
        headers, body = [[b"x-a", b"1"]], bytearray(b"abc")
        await send(
            {"type": "http.response.start", "status": HTTPStatus.CREATED, "headers": headers, "unknown": object()}
        )
        await send({"type": "http.response.body", "body": memoryview(body), "more_body": 1})
        headers.clear()
        body[:] = b"xyz"
        await send({"type": "http.response.body", "body": None})

    downstream = new_downstream()
    (await hosts.open(application)).start(http_scope(), b"", False, downstream)
    await downstream.over()
    assert downstream.events[0] == {"type": "http.response.start", "status": 201, "headers": [(b"x-a", b"1")]}
    assert type(downstream.events[0]["status"]) is int
    assert downstream.events[1] == {"type": "http.response.body", "body": b"abc", "more_body": True}


async def test_an_application_that_raises_is_logged_with_the_name_of_its_connection(
    hosts, new_downstream, http_scope, caplog
):
    """P12. The client's side is told that it failed, the log gets the traceback, and the worker lives on."""

    async def application(scope, receive, send):
        if scope["path"] == "/bad":
            raise SystemExit("even this")
        await send(START)
        await send({"type": "http.response.body"})

    host = await hosts.open(application)
    bad, good = new_downstream("interface.x!13"), new_downstream()
    host.start(http_scope(path="/bad"), b"", False, bad)
    assert await bad.over() == [Close.FAILED]
    assert "interface.x!13" in caplog.text and "SystemExit: even this" in caplog.text
    host.start(http_scope(), b"", False, good)
    assert await good.over() == ["complete"]


async def test_no_path_is_a_line_of_its_own_in_the_log(hosts, new_downstream, http_scope, caplog):
    """P12. What is encoded in a path stays encoded there."""

    async def application(scope, receive, send):
        raise RuntimeError("as ever")

    host, downstream = await hosts.open(application), new_downstream()
    host.start(http_scope(path="/a\nERROR", raw_path=b"/a%0AERROR"), b"", False, downstream)
    assert await downstream.over() == [Close.FAILED]
    (message,) = caplog.messages
    assert message.startswith("GET /a%0AERROR (") and "\n" not in message


async def test_an_application_that_raises_after_its_response_harms_no_client(hosts, new_downstream, http_scope, caplog):
    """The response was complete: it stays so; the log has the rest."""

    async def application(scope, receive, send):
        await send(START)
        await send({"type": "http.response.body"})
        raise ValueError("in the background")

    downstream = new_downstream()
    host = await hosts.open(application)
    host.start(http_scope(), b"", False, downstream)
    await until(lambda: not host.running_count and downstream.last_words)
    assert downstream.last_words == ["complete"]
    assert "in the background" in caplog.text


async def test_an_application_that_returns_early_is_reported(hosts, new_downstream, http_scope, caplog):
    """Returning is no response: the client's side hears `finished` and answers, or aborts, by itself."""

    async def application(scope, receive, send):
        await send(START)

    downstream = new_downstream()
    (await hosts.open(application)).start(http_scope(), b"", False, downstream)
    assert await downstream.over() == [Close.FINISHED]
    assert "returned" in caplog.text


async def test_the_oserror_of_a_client_that_left_is_no_error(hosts, new_downstream, http_scope, caplog):
    """Clients leave all day: an application that lets ClientGone pass through does not fill the log."""
    caplog.set_level(logging.INFO)

    async def application(scope, receive, send):
        await receive()
        await receive()
        try:
            while True:
                await send(START)
        except OSError as error:
            raise RuntimeError("wrapped, as frameworks do") from error

    downstream = new_downstream()
    host = await hosts.open(application)
    run = host.start(http_scope(), b"", False, downstream)
    run.disconnect(1006, "")
    await until(lambda: not host.running_count)
    assert caplog.text == ""


async def test_an_application_that_fails_after_its_client_left_is_still_heard(
    hosts, new_downstream, http_scope, caplog
):
    """A client that leaves does not excuse other errors."""

    async def application(scope, receive, send):
        await receive()
        raise ZeroDivisionError("my own")

    host = await hosts.open(application)
    host.start(http_scope(), b"", False, new_downstream()).disconnect(1006, "")
    await until(lambda: not host.running_count)
    assert "my own" in caplog.text


@pytest.mark.parametrize("begun", [True, False])
async def test_stop_ends_the_instance_whether_it_has_begun_or_not(hosts, new_downstream, http_scope, begun, caplog):
    """The drain time is over: the task is cancelled, its place is free again, and nothing is said on the line."""
    entered = []

    async def application(scope, receive, send):
        entered.append(1)
        await asyncio.Event().wait()

    downstream = new_downstream()
    host = await hosts.open(application)
    run = host.start(http_scope(), b"", False, downstream)
    if begun:
        await until(lambda: entered)
    run.stop()
    await until(lambda: not host.running_count)
    assert len(entered) == begun
    assert downstream.last_words == []
    assert caplog.text == ""


async def test_background_work_counts_as_running_until_it_ends(hosts, new_downstream, http_scope):
    """The response is out, yet the worker is not free: what runs is counted, and the dispatcher is told when it has ended."""
    finish, told = asyncio.Event(), asyncio.Event()

    async def application(scope, receive, send):
        await send(START)
        await send({"type": "http.response.body"})
        await finish.wait()

    downstream = new_downstream()
    host = await hosts.open(application, on_capacity=told.set, concurrency=1)
    assert host.free("http") == 1
    host.start(http_scope(), b"", False, downstream)
    await downstream.over()
    assert host.free("http") == 0
    assert not told.is_set()
    finish.set()
    await asyncio.wait_for(told.wait(), DEADLINE_S)
    assert host.free("http") == 1


async def test_an_asgi2_application_is_made_with_its_scope_and_then_called(hosts, new_downstream, http_scope):
    """The class and the closure of ASGI 2 both; the scope says which version it is given."""

    class Application:
        def __init__(self, scope):
            self.version = scope["asgi"]["version"]

        async def __call__(self, receive, send):
            await send(START)
            await send({"type": "http.response.body", "body": self.version.encode()})

    def closure(scope):
        async def instance(receive, send):
            await Application(scope)(receive, send)

        return instance

    for application in (Application, closure):
        downstream = new_downstream()
        (await hosts.open(application)).start(http_scope(), b"", False, downstream)
        assert await downstream.over() == ["complete"]
        assert downstream.body == b"2.0"


@pytest.mark.parametrize("spoil", [{"type": "smtp"}, {"headers": None}, {"headers": [1]}, {"client": 7}])
async def test_a_scope_that_is_none_starts_nothing(hosts, new_downstream, http_scope, spoil):
    """P12. What a broken peer sent takes no slot for ever."""

    async def application(scope, receive, send): ...

    host = await hosts.open(application)
    with pytest.raises((KeyError, TypeError, ValueError)):
        host.start(ScopeReader().read(Scope(http_scope() | spoil).pieces), b"", False, new_downstream())
    assert host.running_count == 0
