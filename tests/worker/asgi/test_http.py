"""One HTTP exchange as the application and the line live through it."""

from __future__ import annotations

import asyncio
import copy
import logging

import pytest

from channel_layer.protocol.scope import Scope, ScopeReader
from tests.support.facts import until
from worker.asgi.http_state import (
    DISCARDED_EVENTS_AT_ANY_TIME,
    DISCARDED_EVENTS_MAX,
    DISCARDED_S_MAX,
    DiscardedEvents,
    announces_length,
)
from worker.connections.interfaces import Close
from worker.errors import ClientGone, InvalidEvent, WrongOrder

START = {"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"1")]}
DEADLINE_S = 10.0


async def test_a_response_leaves_in_order_and_is_complete_once(rooms, line, http_scope):
    """P1. Start, body, body, and the one last word."""

    async def application(scope, receive, send):
        await send(START)
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await send({"type": "http.response.body", "body": b"two"})

    redis_settings = line()
    room = await rooms.open(application)
    room.start(http_scope(), b"", False, redis_settings)
    assert await redis_settings.over() == ["complete"]
    assert redis_settings.events == [
        START,
        {"type": "http.response.body", "body": b"one", "more_body": True},
        {"type": "http.response.body", "body": b"two", "more_body": False},
    ]
    assert redis_settings.sizes == [64, 67, 67]


async def test_the_scope_is_completed_and_has_the_types_of_asgi(rooms, line, http_scope):
    """Lists of the wire become ASGI's tuples; `asgi` and the reply channel are added; no lifespan means no state."""
    seen = {}

    async def application(scope, receive, send):
        seen.update(scope)

    redis_settings = line("door.q9!3")
    room = await rooms.open(application)
    travelled = Scope(http_scope(headers=[[b"a", b"b"], [b"a", b"c"]])).pieces
    room.start(ScopeReader().read(travelled), b"", False, redis_settings)
    await redis_settings.over()
    assert seen["asgi"] == {"version": "3.0", "spec_version": "2.3"}
    assert seen["headers"] == [(b"a", b"b"), (b"a", b"c")]
    assert seen["client"] == ("127.0.0.1", 50_000)
    assert seen["extensions"] == {"towpath.channel": {"reply_channel": "door.q9!3"}}
    assert "state" not in seen


@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_what_is_written_into_a_scope_is_not_found_in_the_next(rooms, line, http_scope, websocket_scope, kind):
    """P2. Middleware writes into scopes; a word left there for one client would be another's to read."""
    seen = []

    async def application(scope, receive, send):
        seen.append(copy.deepcopy(scope))
        scope["asgi"]["version"] = "9"
        for extension in scope["extensions"].values():
            extension["secret"] = "of the first"
        scope["headers"].append((b"x", b"y"))

    room = await rooms.open(application)
    for _ in range(2):
        redis_settings = line()
        room.start(http_scope() if kind == "http" else websocket_scope(), b"", False, redis_settings)
        await redis_settings.over()
    assert seen[0] == seen[1]


async def test_the_body_arrives_part_by_part_and_is_paid_for_when_it_is_received(rooms, line, http_scope):
    """P1, P5. The first part is free; each further one gives credit as receive() returns it, and not before."""
    received, go_on = [], asyncio.Event()

    async def application(scope, receive, send):
        received.append(await receive())
        await go_on.wait()
        while received[-1].get("more_body"):
            received.append(await receive())

    redis_settings = line()
    room = await rooms.open(application)
    run = room.start(http_scope("POST"), b"first", True, redis_settings)
    run.deliver({"type": "http.request", "body": b"second", "more_body": True}, 70)
    run.deliver({"type": "http.request", "body": b"", "more_body": False}, 64)
    await redis_settings.until(lambda line: line.wanted_calls)
    assert redis_settings.consumed_bytes == []
    go_on.set()
    await redis_settings.over()
    assert [event["body"] for event in received] == [b"first", b"second", b""]
    assert redis_settings.consumed_bytes == [70, 64]
    assert redis_settings.wanted_calls == 1


async def test_a_body_that_nobody_reads_is_never_wanted(rooms, line, http_scope):
    """`100 Continue` is for an application that asks: one that answers 413 at once never makes the client send."""

    async def application(scope, receive, send):
        await send(START | {"status": 413})
        await send({"type": "http.response.body"})

    redis_settings = line()
    (await rooms.open(application)).start(http_scope("POST"), b"", True, redis_settings)
    await redis_settings.over()
    assert redis_settings.wanted_calls == 0


async def test_receive_after_the_body_waits_for_the_disconnect_and_then_repeats_it(rooms, line, http_scope):
    """P8. A client that leaves is told once the application asks, as often as it asks; the instance says nothing more."""
    received = []

    async def application(scope, receive, send):
        for _ in range(4):
            received.append((await receive())["type"])
        await send(START)
        await send({"type": "http.response.body"})

    redis_settings = line()
    room = await rooms.open(application)
    run = room.start(http_scope(), b"", False, redis_settings)
    await until(lambda: received)
    run.disconnect(1006, "")
    await until(lambda: not room.running)
    assert received == ["http.request", *["http.disconnect"] * 3]
    assert redis_settings.last_words == [] and redis_settings.events == []


async def test_a_complete_response_wakes_whoever_waits_for_the_disconnect(rooms, line, http_scope):
    """Frameworks listen for the disconnect beside the response; without this they would wait for ever."""
    heard = []

    async def application(scope, receive, send):
        await receive()
        listener = asyncio.create_task(receive())
        await asyncio.sleep(0)
        await send(START)
        await send({"type": "http.response.body"})
        heard.append(await listener)

    redis_settings = line()
    room = await rooms.open(application)
    room.start(http_scope(), b"", False, redis_settings)
    await until(lambda: heard and not room.running)
    assert heard == [{"type": "http.disconnect"}]
    assert redis_settings.last_words == ["complete"]


async def test_send_waits_while_the_line_has_no_room(rooms, line, http_scope):
    """P5. The application goes at the client's pace."""
    sent = []

    async def application(scope, receive, send):
        await send(START)
        for number in range(3):
            await send({"type": "http.response.body", "body": b"x", "more_body": number < 2})
            sent.append(number)

    redis_settings = line()
    redis_settings.has_credit = False
    room = await rooms.open(application)
    run = room.start(http_scope(), b"", False, redis_settings)
    await redis_settings.until(lambda line: line.events)
    assert sent == []
    redis_settings.has_credit = True
    run.resume()
    assert await redis_settings.over() == ["complete"]
    assert sent == [0, 1, 2]


async def test_a_client_that_leaves_ends_a_send_that_waits(rooms, line, http_scope):
    """A stalled client that is thrown out must not keep its application waiting; nor does it make it fail."""
    went_on = []

    async def application(scope, receive, send):
        await send(START)
        went_on.append(await receive())
        went_on.append(await receive())

    redis_settings = line()
    redis_settings.has_credit = False
    room = await rooms.open(application)
    run = room.start(http_scope(), b"", False, redis_settings)
    await redis_settings.until(lambda line: line.events)
    run.disconnect(1006, "")
    await until(lambda: not room.running)
    assert [event["type"] for event in went_on] == ["http.disconnect", "http.disconnect"]


async def test_whatever_is_said_to_a_client_that_has_left_is_dropped(rooms, line, http_scope, caplog):
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

    room = await rooms.open(application)
    for path in ("/", "/begun"):
        redis_settings = line()
        run = room.start(http_scope(path=path), b"", False, redis_settings)
        if path == "/begun":
            await redis_settings.until(lambda line: line.events)
        before = len(redis_settings.events)
        run.disconnect(1006, "")
        await until(lambda: not room.running)
        assert len(redis_settings.events) == before and redis_settings.last_words == []
    assert len(said) == 8 and caplog.text == ""


@pytest.mark.parametrize(
    ("headers", "events", "passed_s", "goes_on"),
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
def test_an_application_goes_on_and_on_by_number_or_by_time(headers, events, passed_s, goes_on):
    """P5. On both sides of each limit. A response that has said its length ends by itself, but not at any time."""
    discarded = DiscardedEvents(100.0, announces_length(START | {"headers": headers}))
    before = [discarded.goes_on(100.0) for _ in range(events - 1)]
    assert not any(before)
    assert discarded.goes_on(100.0 + passed_s) is goes_on


@pytest.mark.parametrize("start", [None, {}, "start", {"type": "http.response.body"}, START, START | {"headers": 7}])
def test_what_announces_no_length_announces_none(start):
    """Nobody has checked what is said to a client that has left."""
    assert not announces_length(start)


async def test_a_stream_without_an_end_hears_that_its_client_has_left(rooms, line, http_scope):
    """P5. Others run meanwhile, and after it."""
    caught = []

    async def application(scope, receive, send):
        await send(START)
        try:
            while True:
                await send({"type": "http.response.body", "body": b".", "more_body": True})
                if not redis_settings.has_credit:
                    turns.append(1)
        except OSError as error:
            caught.append(error)

    turns, redis_settings = [], line()
    redis_settings.has_credit = False
    room = await rooms.open(application)
    run = room.start(http_scope(), b"", False, redis_settings)
    await redis_settings.until(lambda line: line.events)
    run.disconnect(1006, "")
    await until(lambda: turns)
    assert room.running, "it lets others run before it is stopped"
    await until(lambda: not room.running)
    assert isinstance(caught[0], ClientGone)


async def test_two_tasks_that_wait_in_send_do_not_cancel_each_other(rooms, line, http_scope):
    """Each waits for itself: a cancelled sender takes nobody along."""
    outcome = []

    async def application(scope, receive, send):
        await send(START)
        first = asyncio.create_task(send({"type": "http.response.body", "body": b"1", "more_body": True}))
        second = asyncio.create_task(send({"type": "http.response.body", "body": b"2", "more_body": True}))
        await until(lambda: len(redis_settings.events) == 3)
        first.cancel()
        redis_settings.has_credit = True
        run.resume()
        outcome.extend(await asyncio.gather(first, second, return_exceptions=True))
        await send({"type": "http.response.body"})

    redis_settings = line()
    room = await rooms.open(application)

    def close_after_start(event, size_bytes, send=redis_settings.send):
        send(event, size_bytes)
        redis_settings.has_credit = event["type"] == "http.response.start"

    redis_settings.send = close_after_start
    run = room.start(http_scope(), b"", False, redis_settings)
    assert await redis_settings.over() == ["complete"]
    assert isinstance(outcome[0], asyncio.CancelledError) and outcome[1] is None


async def test_a_long_body_is_cut_and_waits_between_its_parts(rooms, line, http_scope):
    """P5. A body of 200 000 bytes in one event leaves in parts of at most 64 KiB, each when there is room."""

    async def application(scope, receive, send):
        await send(START)
        await send({"type": "http.response.body", "body": bytes(200_000)})

    redis_settings = line()
    room = await rooms.open(application)
    one_at_a_time = redis_settings.send

    def send(event, size_bytes):
        one_at_a_time(event, size_bytes)
        redis_settings.has_credit = event["type"] == "http.response.start"

    redis_settings.send = send
    run = room.start(http_scope(), b"", False, redis_settings)
    for parts in range(1, 5):
        await redis_settings.until(lambda line, parts=parts: len(line.events) > parts)
        assert len(redis_settings.events) == 1 + parts
        redis_settings.has_credit = True
        run.resume()
    assert await redis_settings.over() == ["complete"]
    assert [len(event["body"]) for event in redis_settings.events[1:]] == [65_536, 65_536, 65_536, 3392]
    assert [event["more_body"] for event in redis_settings.events[1:]] == [True, True, True, False]


async def test_cancelling_receive_loses_no_event(rooms, line, http_scope):
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

    redis_settings = line()
    room = await rooms.open(application)
    run = room.start(http_scope("POST"), b"", True, redis_settings)
    await redis_settings.over()
    assert received[0]["body"] == b"late"
    assert redis_settings.consumed_bytes == [68]


async def test_polling_for_the_disconnect_leaves_nothing_behind(rooms, line, http_scope):
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

    redis_settings = line()
    run = (await rooms.open(application)).start(http_scope(), b"", False, redis_settings)
    await redis_settings.over()
    assert redis_settings.body == b"0"


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
    rooms, line, saying, http_scope, events, error, words
):
    """P12. The traceback shows the line of the application that was wrong, and nothing of it reaches the client."""
    application, redis_settings = saying(events), line()
    room = await rooms.open(application)
    room.start(http_scope(), b"", False, redis_settings)
    await until(lambda: application.raised and not room.running)
    with pytest.raises(error, match=words):
        raise application.raised
    assert len(redis_settings.events) == len(events) - 1


async def test_values_are_copied_into_plain_types(rooms, line, http_scope):
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

    redis_settings = line()
    (await rooms.open(application)).start(http_scope(), b"", False, redis_settings)
    await redis_settings.over()
    assert redis_settings.events[0] == {"type": "http.response.start", "status": 201, "headers": [(b"x-a", b"1")]}
    assert type(redis_settings.events[0]["status"]) is int
    assert redis_settings.events[1] == {"type": "http.response.body", "body": b"abc", "more_body": True}


async def test_an_application_that_raises_is_logged_with_the_name_of_its_connection(rooms, line, http_scope, caplog):
    """P12. The client's side is told that it failed, the log gets the traceback, and the worker lives on."""

    async def application(scope, receive, send):
        if scope["path"] == "/bad":
            raise SystemExit("even this")
        await send(START)
        await send({"type": "http.response.body"})

    room = await rooms.open(application)
    bad, good = line("door.x!13"), line()
    room.start(http_scope(path="/bad"), b"", False, bad)
    assert await bad.over() == [Close.FAILED]
    assert "door.x!13" in caplog.text and "SystemExit: even this" in caplog.text
    room.start(http_scope(), b"", False, good)
    assert await good.over() == ["complete"]


async def test_no_path_is_a_line_of_its_own_in_the_log(rooms, line, http_scope, caplog):
    """P12. What is encoded in a path stays encoded there."""

    async def application(scope, receive, send):
        raise RuntimeError("as ever")

    room, door = await rooms.open(application), line()
    room.start(http_scope(path="/a\nERROR", raw_path=b"/a%0AERROR"), b"", False, door)
    assert await door.over() == [Close.FAILED]
    (message,) = caplog.messages
    assert message.startswith("GET /a%0AERROR (") and "\n" not in message


async def test_an_application_that_raises_after_its_response_harms_no_client(rooms, line, http_scope, caplog):
    """The response was complete: it stays so; the log has the rest."""

    async def application(scope, receive, send):
        await send(START)
        await send({"type": "http.response.body"})
        raise ValueError("in the background")

    redis_settings = line()
    room = await rooms.open(application)
    room.start(http_scope(), b"", False, redis_settings)
    await until(lambda: not room.running and redis_settings.last_words)
    assert redis_settings.last_words == ["complete"]
    assert "in the background" in caplog.text


async def test_an_application_that_returns_early_is_reported(rooms, line, http_scope, caplog):
    """Returning is no response: the client's side hears `finished` and answers, or aborts, by itself."""

    async def application(scope, receive, send):
        await send(START)

    redis_settings = line()
    (await rooms.open(application)).start(http_scope(), b"", False, redis_settings)
    assert await redis_settings.over() == [Close.FINISHED]
    assert "returned" in caplog.text


async def test_the_oserror_of_a_client_that_left_is_no_error(rooms, line, http_scope, caplog):
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

    redis_settings = line()
    room = await rooms.open(application)
    run = room.start(http_scope(), b"", False, redis_settings)
    run.disconnect(1006, "")
    await until(lambda: not room.running)
    assert caplog.text == ""


async def test_an_application_that_fails_after_its_client_left_is_still_heard(rooms, line, http_scope, caplog):
    """A client that leaves does not excuse other errors."""

    async def application(scope, receive, send):
        await receive()
        raise ZeroDivisionError("my own")

    room = await rooms.open(application)
    room.start(http_scope(), b"", False, line()).disconnect(1006, "")
    await until(lambda: not room.running)
    assert "my own" in caplog.text


@pytest.mark.parametrize("begun", [True, False])
async def test_stop_ends_the_instance_whether_it_has_begun_or_not(rooms, line, http_scope, begun, caplog):
    """The drain time is over: the task is cancelled, its place is free again, and nothing is said on the line."""
    entered = []

    async def application(scope, receive, send):
        entered.append(1)
        await asyncio.Event().wait()

    redis_settings = line()
    room = await rooms.open(application)
    run = room.start(http_scope(), b"", False, redis_settings)
    if begun:
        await until(lambda: entered)
    run.stop()
    await until(lambda: not room.running)
    assert len(entered) == begun
    assert redis_settings.last_words == []
    assert caplog.text == ""


async def test_background_work_counts_as_running_until_it_ends(rooms, line, http_scope):
    """The response is out, yet the worker is not free: what runs is counted, and the pump is told when it has ended."""
    finish, told = asyncio.Event(), asyncio.Event()

    async def application(scope, receive, send):
        await send(START)
        await send({"type": "http.response.body"})
        await finish.wait()

    redis_settings = line()
    room = await rooms.open(application, on_capacity=told.set, concurrency=1)
    assert room.free("http") == 1
    room.start(http_scope(), b"", False, redis_settings)
    await redis_settings.over()
    assert room.free("http") == 0
    assert not told.is_set()
    finish.set()
    await asyncio.wait_for(told.wait(), DEADLINE_S)
    assert room.free("http") == 1


async def test_an_asgi2_application_is_made_with_its_scope_and_then_called(rooms, line, http_scope):
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
        redis_settings = line()
        (await rooms.open(application)).start(http_scope(), b"", False, redis_settings)
        assert await redis_settings.over() == ["complete"]
        assert redis_settings.body == b"2.0"


@pytest.mark.parametrize("spoil", [{"type": "smtp"}, {"headers": None}, {"headers": [1]}, {"client": 7}])
async def test_a_scope_that_is_none_starts_nothing(rooms, line, http_scope, spoil):
    """P12. What a broken peer sent takes no slot for ever."""

    async def application(scope, receive, send): ...

    room = await rooms.open(application)
    with pytest.raises((KeyError, TypeError, ValueError)):
        room.start(ScopeReader().read(Scope(http_scope() | spoil).pieces), b"", False, line())
    assert room.running == 0
