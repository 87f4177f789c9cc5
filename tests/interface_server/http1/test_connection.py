"""One HTTP/1 connection from its first byte to its last: order, flow, deadlines, and who hears of its end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from channel_layer.protocol.events import Event
from interface_server.connections.interfaces import EndReason
from interface_server.http.exchange import REQUEST_MOVES, WRITE_MOVES, Exchange
from interface_server.http1 import connection as connection_module
from interface_server.settings import InterfaceSettings
from tests.support.facts import until
from tests.support.in_process_server import DEADLINE_S, WINDOW_SIZE_BYTES, Client1, Ended, Receive, Send, Served, served

SETTINGS = InterfaceSettings(access_log=False)
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
START: Event = {"type": "http.response.start", "status": 200, "headers": []}


def body(data: bytes, more: bool = False) -> Event:
    return {"type": "http.response.body", "body": data, "more_body": more}


def settings(**changes: object) -> InterfaceSettings:
    return InterfaceSettings(access_log=False, **changes)  # type: ignore[arg-type]


async def hello(scope: Event, receive: Receive, send: Send) -> None:
    await send(START)
    await send(body(scope["path"].encode()))


async def echo(scope: Event, receive: Receive, send: Send) -> None:
    """The body back, in one piece."""
    parts = []
    while (event := await receive())["type"] == "http.request":
        parts.append(event["body"])
        if not event["more_body"]:
            break
    await send(START)
    await send(body(b"".join(parts)))


async def waiting(scope: Event, receive: Receive, send: Send) -> None:
    """Says nothing until the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


class CheckedExchange(Exchange):
    """An exchange that keeps each move which does not stand in its table."""

    illegal: list[str] = []  # noqa: RUF012 - of all exchanges of one test

    def __setattr__(self, name: str, value: object) -> None:
        moves = {"request_state": REQUEST_MOVES, "write_state": WRITE_MOVES}.get(name)
        if moves is not None and hasattr(self, name) and value not in moves[getattr(self, name)]:  # type: ignore[index]
            self.illegal.append(f"{value} after {getattr(self, name)}")
        super().__setattr__(name, value)


@pytest.fixture(autouse=True)
def every_move_stands_in_its_table(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In every test of this file, also for the moves that are not looked up when they are made."""
    monkeypatch.setattr(connection_module, "Exchange", CheckedExchange)
    CheckedExchange.illegal.clear()
    yield
    assert not CheckedExchange.illegal


class Held:
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        await self.go.wait()
        await hello(scope, receive, send)


# What is asked, in which order.


async def test_requests_that_were_sent_ahead_are_answered_one_after_another_in_order():
    """P1. The application of the next request starts only when the response before it is complete."""
    app = Held()
    async with served(app, SETTINGS) as server:
        client = await server.connect()
        client.write(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(50)))
        await server.backend.next()
        await asyncio.sleep(0)
        assert len(server.backend.lines) == 1
        app.go.set()
        assert [(await client.response())[2] for _ in range(50)] == [b"/%d" % number for number in range(50)]


async def test_bodies_that_were_sent_ahead_reach_their_own_requests():
    """P1. Also where a body is cut by the end of a read, and where the last request is no HTTP at all."""
    async with served(echo, SETTINGS) as server:
        client = await server.connect()
        post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b"
        chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"
        long = bytes(range(256)) * 2000
        client.write(post % (5, b"first") + chunked + post % (len(long), long) + GET + b"garbage\r\n\r\n")
        assert [(await client.response())[2] for _ in range(4)] == [b"first", b"abcdef", long, b""]
        assert (await client.response())[0] == 400
        assert await client.rest() == b""


async def test_a_request_begins_once_however_its_chunks_are_read():
    """P3. Also where the last chunk comes alone, behind a body that was forwarded; the next request gets its own answer."""
    received: list[bytes] = []

    async def collect(scope: Event, receive: Receive, send: Send) -> None:
        while (event := await receive())["type"] == "http.request":
            received.append(event["body"])
            if not event["more_body"]:
                break
        await send(START)
        await send(body(scope["method"].encode() + b" " + b"".join(received)))

    async with served(collect, SETTINGS) as server:
        client = await server.connect()
        client.write(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for chunk, so_far in ((b"3\r\nabc\r\n", b"abc"), (b"2\r\nde\r\n", b"abcde")):
            client.write(chunk)
            await until(lambda so_far=so_far: b"".join(received) == so_far, f"the application has {so_far!r}")
        client.write(b"0\r\n\r\n")
        assert (await client.response())[2] == b"POST abcde"
        received.clear()
        client.write(GET)
        assert (await client.response())[2] == b"GET "
        assert (len(server.backend.lines), server.context.under_way) == (2, 0)


@pytest.mark.parametrize("value", [b"a\r\nb: c", "text"])
async def test_a_head_that_cannot_be_written_is_500_also_where_it_comes_alone(value: object):
    """P12. Other clients' packets may stand in the same batch: nothing is raised."""

    async def app(scope: Event, receive: Receive, send: Send) -> None:
        await send({**START, "headers": [(b"x", value)]})
        await waiting(scope, receive, send)

    async with served(app, SETTINGS) as server:
        client = await server.connect()
        client.write(GET)
        assert (await client.response())[0] == 500
        assert server.context.counters["broken.invalid_response"] == 1
        assert server.context.under_way == 0


async def test_a_head_may_come_byte_by_byte():
    async with served(hello, SETTINGS) as server:
        client = await server.connect()
        for byte in b"GET /slow HTTP/1.1\r\nHost: a\r\nX-Long-Name: value\r\n\r\n":
            client.write(bytes((byte,)))
            await client.writer.drain()
            await asyncio.sleep(0)
        assert (await client.response())[2] == b"/slow"
        assert (b"x-long-name", b"value") in server.backend.lines[0].scope["headers"]


async def test_a_small_body_travels_with_the_opening_and_a_large_one_in_parts_of_64_kib():
    """P5. An event is never larger than 64 KiB."""
    async with served(echo, SETTINGS) as server:
        client = await server.connect()
        client.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
        await client.response()
        assert server.backend.openings[0] == {"body": b"abc", "more_body": False, "expect_continue": False}
        sent = bytes(range(256)) * 4096
        client.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(sent) + sent)
        assert (await client.response())[2] == sent
        assert max(server.backend.lines[1].sizes) <= 65_536
        assert len(server.backend.openings[1]["body"]) <= 65_536


async def test_the_scope_tells_the_request_as_it_came():
    async with served(hello, settings(root_path="/app")) as server:
        client = await server.connect()
        client.write(b"GET /a%20b?x=%31&y HTTP/1.1\r\nHost: h:1\r\nX-A: 1 \r\nx-b: \xff\r\nX-A:2\r\n\r\n")
        await client.response()
        scope = dict(server.backend.lines[0].scope)
        assert scope.pop("client")[0] == "127.0.0.1"
        assert scope.pop("server") == tuple(server.address)
        assert scope == {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/app/a b",
            "raw_path": b"/app/a%20b",
            "query_string": b"x=%31&y",
            "root_path": "/app",
            "headers": [(b"host", b"h:1"), (b"x-a", b"1"), (b"x-b", b"\xff"), (b"x-a", b"2")],
        }


async def test_an_absolute_target_names_the_host():
    async with served(hello, SETTINGS) as server:
        client = await server.connect()
        client.write(b"GET http://right/x HTTP/1.1\r\nHost: wrong\r\n\r\n")
        await client.response()
        assert [value for name, value in server.backend.lines[0].scope["headers"] if name == b"host"] == [b"right"]


async def test_a_trusted_proxy_tells_client_and_scheme():
    async with served(hello, SETTINGS) as server:
        client = await server.connect()
        client.write(b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\n\r\n")
        await client.response()
        assert server.backend.lines[0].scope["client"] == ("9.9.9.9", 0)
        assert server.backend.lines[0].scope["scheme"] == "https"


async def test_a_unix_socket_serves_and_is_removed(tmp_path):
    path = str(tmp_path / "http.sock")
    async with served(hello, SETTINGS, uds=path) as server:
        client = await server.connect()
        client.write(GET)
        assert (await client.response())[2] == b"/"
        assert server.backend.lines[0].scope["client"] is None
        assert server.backend.lines[0].scope["server"] == (path, None)
    assert not (tmp_path / "http.sock").exists()


# 100 Continue, and bodies that nobody wants.


EXPECTING = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"


async def test_continue_is_said_when_the_application_first_asks_for_the_body():
    async with served(echo, SETTINGS) as server:
        client = await server.connect()
        client.write(EXPECTING)
        assert await client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert server.backend.openings[0]["expect_continue"]
        client.write(b"abc")
        assert (await client.response())[2] == b"abc"


async def test_continue_is_not_said_to_a_client_that_did_not_wait():
    async with served(echo, SETTINGS) as server:
        client = await server.connect()
        client.write(EXPECTING + b"abc")
        assert (await client.response())[::2] == (200, b"abc")


async def test_who_answers_without_the_body_gets_no_body_and_ends_the_connection():
    """The client waits for 100 and gets 413 at once; what it sends all the same is thrown away, and the answer not lost."""

    async def refusing(scope: Event, receive: Receive, send: Send) -> None:
        await send({**START, "status": 413})
        await send(body(b"no"))

    async with served(refusing, SETTINGS) as server:
        client = await server.connect()
        client.write(EXPECTING)
        status, headers, _ = await client.response()
        assert (status, headers[b"connection"]) == (413, b"close")
        client = await server.connect()
        size = 20_000_000
        client.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
        await client.writer.drain()
        assert (await client.response())[0] == 413
        assert await client.rest() == b""


async def test_a_declared_body_above_the_limit_is_413_before_anybody_hears_of_it():
    async with served(echo, settings(body_size_bytes_max=10)) as server:
        assert (await server.ask(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n")).startswith(
            b"HTTP/1.1 413 "
        )
        assert not server.backend.lines
        assert server.context.counters["refused.body_too_large"] == 1


async def test_a_chunked_body_above_the_limit_is_413_and_its_application_hears_of_the_end():
    async with served(waiting, settings(body_size_bytes_max=10)) as server:
        client = await server.connect()
        client.write(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n123456789\r\n")
        line = await server.backend.next()
        client.write(b"9\r\n123456789\r\n")
        assert (await client.response())[0] == 413
        await line.gone()
        assert line.left == [(1006, "")]


# Flow control.


async def test_a_client_is_read_only_as_fast_as_the_application_reads():
    """P5. An upload into an application that does not read is held back at the socket; nobody is thrown out."""
    app_reads = asyncio.Event()

    async def late_reader(scope: Event, receive: Receive, send: Send) -> None:
        await app_reads.wait()
        await echo_size(scope, receive, send)

    async with served(late_reader, SETTINGS) as server:
        client = await server.connect()
        size = 20_000_000
        client.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
        line = await server.backend.next()
        await until(lambda: server.factory.http1.unread)
        assert line.unread_bytes <= 2 * WINDOW_SIZE_BYTES
        app_reads.set()
        assert (await client.response())[2] == b"%d" % size
        assert line.unread_bytes_max <= 2 * WINDOW_SIZE_BYTES


async def echo_size(scope: Event, receive: Receive, send: Send) -> None:
    size, more = 0, True
    while more:
        event = await receive()
        size, more = size + len(event["body"]), event["more_body"]
    await send(START)
    await send(body(b"%d" % size))


async def flood(scope: Event, receive: Receive, send: Send) -> None:
    """200 MB, as fast as it is let."""
    await send(START)
    for _ in range(3200):
        await send(body(bytes(65_536), more=True))
    await send(body(b""))


async def test_an_application_sends_only_as_fast_as_the_client_takes():
    """P5. Credit comes when bytes have left; what waits for a client that does not read is bounded."""
    async with served(flood, SETTINGS) as server:
        client = await small_client(server)
        client.write(GET)
        line = await server.backend.next()
        await until(lambda: line.unacknowledged_bytes >= WINDOW_SIZE_BYTES)
        (connection,) = server.factory.http1.connections
        assert connection.transport.get_write_buffer_size() < 3 * WINDOW_SIZE_BYTES
        await client.exactly(1_000_000)
        client.close()
        await line.gone()
        assert line.left
        assert line.unacknowledged_bytes_max <= 2 * WINDOW_SIZE_BYTES


async def small_client(server: Served):
    """A client whose kernel takes little, and who reads nothing by itself."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, server.address)
    reader, writer = await asyncio.open_connection(sock=sock, limit=4096)
    return Client1(reader, writer)


async def test_a_client_that_takes_nothing_at_all_is_cut_off_and_one_that_takes_little_is_not():
    """P5. Stalled is who acknowledges nothing for the whole time, not who is slow."""
    async with served(flood, settings(write_timeout_s=0.6)) as server:
        stalled, slow = await small_client(server), await small_client(server)
        stalled.write(GET)
        stalled_line = await server.backend.next()
        slow.write(GET)
        slow_line = await server.backend.next()
        async with asyncio.timeout(DEADLINE_S):
            while not stalled_line.left:
                await slow.exactly(20_000)
                await asyncio.sleep(0.01)
        assert server.context.counters["aborted.stalled"] == 1
        assert not slow_line.over()


async def test_the_next_request_waits_until_the_response_before_it_has_left():
    """P5. Who asks for much and reads nothing gets no second helping."""

    async def megabyte(scope: Event, receive: Receive, send: Send) -> None:
        await send(START)
        await send(body(bytes(10_000_000)))

    async with served(megabyte, SETTINGS) as server:
        client = await small_client(server)
        client.write(GET * 20)
        line = await server.backend.next()
        await line.gone()
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(server.backend.lines) == 1
        await client.response()
        await client.response()
        assert 2 <= len(server.backend.lines) <= 4


# Whoever leaves.


async def test_a_client_that_leaves_while_queued_is_withdrawn():
    """P3. The upstream is left once, and at once."""
    async with served(waiting, SETTINGS) as server:
        client = await server.connect()
        client.write(GET)
        line = await server.backend.next()
        client.close()
        await line.gone()
        assert line.left == [(1006, "")]


async def test_a_client_that_leaves_in_mid_body_is_noticed_even_while_its_socket_is_not_read():
    async def deaf(scope: Event, receive: Receive, send: Send) -> None:
        await asyncio.get_running_loop().create_future()

    async with served(deaf, SETTINGS) as server:
        client = await server.connect()
        client.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 90000000\r\n\r\n" + bytes(8_000_000))
        line = await server.backend.next()
        await until(lambda: server.factory.http1.unread)
        client.reset()
        await line.gone()
        assert line.left == [(1006, "")]


async def test_a_client_that_resets_in_mid_response_is_noticed():
    async with served(flood, SETTINGS) as server:
        client = await server.connect()
        client.write(GET)
        line = await server.backend.next()
        await client.exactly(100_000)
        client.reset()
        await line.gone()
        assert line.left == [(1006, "")]


@pytest.mark.parametrize("end_reason", EndReason)
async def test_each_end_reason_has_its_status_while_nothing_has_been_sent(end_reason: EndReason):
    async def ended(scope: Event, receive: Receive, send: Send) -> None:
        raise Ended(end_reason)

    async with served(ended, SETTINGS) as server:
        client = await server.connect()
        client.write(GET)
        status, headers, _ = await client.response()
        assert status == end_reason.status
        assert (b"retry-after" in headers) is (status == 503)
        client.write(GET)
        assert (await client.response())[0] == end_reason.status
        assert server.context.counters[f"ended.{end_reason.name.lower()}"] == 2


async def test_an_old_client_whose_body_ends_with_the_connection_is_reset_when_it_breaks():
    """What looks like an orderly end is one; so a broken body must not."""

    async def breaking(scope: Event, receive: Receive, send: Send) -> None:
        await send(START)
        await send(body(b"begun", more=True))
        await asyncio.sleep(0)
        await receive()
        await receive()

    async with served(breaking, SETTINGS) as server:
        client = await server.connect()
        client.write(b"GET / HTTP/1.0\r\n\r\n")
        line = await server.backend.next()
        assert (await client.until(b"begun")).endswith(b"\r\n\r\nbegun")
        line.task.cancel()
        line.ended = True
        line.client.end(EndReason.DIED)
        with pytest.raises(ConnectionResetError):
            await client.rest()


async def test_the_next_request_is_served_while_the_application_still_runs_behind_its_response():
    async def background(scope: Event, receive: Receive, send: Send) -> None:
        await hello(scope, receive, send)
        await asyncio.get_running_loop().create_future()

    async with served(background, SETTINGS) as server:
        client = await server.connect()
        for _ in range(3):
            client.write(GET)
            assert (await client.response())[0] == 200


# Deadlines and limits.


async def test_a_head_that_does_not_come_in_time_is_408_however_it_drips():
    async with served(hello, settings(head_timeout_s=0.2)) as server:
        client = await server.connect()
        client.write(b"GET / HTTP/1.1\r\n")
        reading = asyncio.ensure_future(client.response())
        while not reading.done():
            client.write(b"X: y\r\n")
            await asyncio.sleep(0.02)
        assert reading.result()[0] == 408
        assert server.context.counters["refused.head_timeout"] == 1


async def test_an_idle_connection_is_closed_without_a_word_and_a_busy_one_is_not():
    app = Held()
    async with served(app, settings(keep_alive_timeout_s=0.2, head_timeout_s=0.2)) as server:
        idle, busy = await server.connect(), await server.connect()
        busy.write(GET)
        assert await idle.rest() == b""
        assert server.context.counters["closed.idle"] == 1
        app.go.set()
        assert (await busy.response())[0] == 200
        assert await busy.rest() == b""


async def test_an_application_that_does_not_begin_to_answer_in_time_is_504():
    async with served(waiting, settings(response_timeout_s=0.1)) as server:
        client = await server.connect()
        client.write(GET)
        assert (await client.response())[0] == 504
        assert server.backend.lines[0].left


async def test_what_is_above_the_limit_of_concurrency_is_503_at_once():
    app = Held()
    async with served(app, settings(limit_concurrency=1)) as server:
        first, second = await server.connect(), await server.connect()
        first.write(GET)
        await server.backend.next()
        second.write(GET)
        status, headers, _ = await second.response()
        assert (status, b"retry-after" in headers) == (503, True)
        app.go.set()
        assert (await first.response())[0] == 200
        second.write(GET)
        assert (await second.response())[0] == 200


async def test_draining_closes_who_is_idle_and_lets_the_others_finish():
    app = Held()
    async with served(app, SETTINGS) as server:
        idle, busy = await server.connect(), await server.connect()
        idle.write(b"GET /-/health/live HTTP/1.1\r\nHost: a\r\n\r\n")
        await idle.response()
        busy.write(GET)
        await server.backend.next()
        assert not server.factory.http1.drain()
        assert await idle.rest() == b""
        app.go.set()
        status, headers, _ = await busy.response()
        assert (status, headers[b"connection"]) == (200, b"close")
        assert await busy.rest() == b""


async def test_draining_lets_a_new_connection_ask_what_it_was_made_for():
    """P7. The client has connected a moment ago, and its request is on its way; one that stays silent is closed soon."""
    app = Held()
    app.go.set()
    async with served(app, SETTINGS) as server:
        asking, silent = await server.connect(), await server.connect()
        await until(lambda: len(server.factory.http1.connections) == 2, "both are accepted")
        assert server.factory.http1.drain()
        asking.write(GET)
        status, headers, _ = await asking.response()
        assert (status, headers[b"connection"]) == (200, b"close")
        assert await asking.rest() == b""
        await until(lambda: not server.factory.http1.drain(), "nothing is new any more")
        assert await silent.rest() == b""


@pytest.mark.parametrize(("may_be_sent_again", "expected"), [(False, (502, None)), (True, (503, b"1"))])
async def test_whoever_is_cut_off_at_the_end_and_has_heard_nothing_yet_hears_whether_to_try_again(
    may_be_sent_again: bool, expected: tuple[int, bytes | None]
):
    """A reset would tell the client less than the server knows."""
    async with served(Held(), SETTINGS) as server:
        client = await server.connect()
        client.write(GET)
        line = await server.backend.next()
        line.may_be_sent_again = may_be_sent_again
        server.factory.http1.drain()
        server.factory.http1.abort_all()
        status, headers, _ = await client.response()
        assert (status, headers.get(b"retry-after"), headers[b"connection"]) == (*expected, b"close")
        assert await client.rest() == b""
        await line.gone()
        assert line.left == [(1006, "")]


async def test_draining_answers_what_has_come_and_was_not_read_yet():
    """To close upon a request that waits in the kernel would be a reset, and nobody could tell what became of it."""
    app = Held()
    app.go.set()
    async with served(app, SETTINGS) as server:
        client = await server.connect()
        client.write(GET)
        server.factory.http1.drain()
        status, headers, _ = await client.response()
        assert (status, headers[b"connection"]) == (200, b"close")


# What we say ourselves.


async def test_health_is_answered_without_a_worker_and_tells_whether_the_server_is_ready():
    async with served(waiting, SETTINGS) as server:
        client = await server.connect()
        for path, ready, status in (
            (b"live", True, 200),
            (b"ready", True, 200),
            (b"live", False, 200),
            (b"ready", False, 503),
        ):
            server.backend.ready = ready
            client.write(b"GET /-/health/%b HTTP/1.1\r\nHost: a\r\n\r\n" % path)
            assert (await client.response())[0] == status
        client.write(b"HEAD /-/health/live HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await client.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        client.write(b"POST /-/health/live HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
        assert (await client.response())[0] == 405
        assert not server.backend.lines


async def test_health_can_be_turned_off():
    async with served(hello, settings(health_path="")) as server:
        client = await server.connect()
        client.write(b"GET /live HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await client.response())[2] == b"/live"


async def test_standing_lines_are_added_unless_the_application_says_its_own():
    async def own(scope: Event, receive: Receive, send: Send) -> None:
        await send({**START, "headers": [(b"Server", b"mine"), (b"date", b"then")] if scope["path"] == "/own" else []})
        await send(body(b""))

    async with served(own, settings(headers=(("X-Extra", "1"),))) as server:
        client = await server.connect()
        client.write(GET + b"GET /own HTTP/1.1\r\nHost: a\r\n\r\n")
        _, ours, _ = await client.response()
        assert (ours[b"server"], ours[b"x-extra"], b"GMT" in ours[b"date"]) == (b"towpath", b"1", True)
        _, theirs, _ = await client.response()
        assert (theirs[b"server"], theirs[b"x-extra"], theirs[b"date"]) == (b"mine", b"1", b"then")


async def test_the_access_log_has_a_line_for_each_answer_and_none_for_health(caplog):
    caplog.set_level("INFO", "towpath.access")
    async with served(hello, InterfaceSettings()) as server:
        client = await server.connect()
        client.write(b"GET /a?b HTTP/1.1\r\nHost: a\r\n\r\nGET /-/health/live HTTP/1.1\r\nHost: a\r\n\r\n")
        await client.response()
        await client.response()
    (line,) = caplog.messages
    assert line.startswith("127.0.0.1:") and line.endswith(' - "GET /a?b HTTP/1.1" 200')


@pytest.mark.parametrize(
    ("target", "forwarded", "line"),
    [
        (b'/"-200"?"', b"1.2.3.4", '1.2.3.4:0 - "GET /%22-200%22?%22 HTTP/1.1" 200'),
        (b"/%0Aa", b"[2001:db8::7]:80", '2001:db8::7:80 - "GET /%0Aa HTTP/1.1" 200'),
        (b"/", b'evil - "GET /admin" 200\x85\x9b2J', 'evil%20-%20%22GET%20/admin%22%20200%C2%85%C2%9B2J:0 - "GET / '),
    ],
)
async def test_what_a_client_says_is_never_another_part_of_the_access_log(caplog, target, forwarded, line):
    """P12. Nor what a proxy says of it: neither lines nor quotes of their own, and nothing that a terminal interprets."""
    caplog.set_level("INFO", "towpath.access")
    async with served(hello, InterfaceSettings(forwarded_allow_ips="*")) as server:
        client = await server.connect()
        client.write(b"GET %b HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: %b\r\n\r\n" % (target, forwarded))
        await client.response()
    assert [message[: len(line)] for message in caplog.messages] == [line]


REFUSED = {
    "no HTTP": (b"\x16\x03\x01\r\n\r\n", '"-" 400 (Invalid method encountered)'),
    "an unknown method": (b"BREW /pot HTTP/1.1\r\n\r\n", '"-" 501 (this method is not implemented)'),
    "no Host": (b'GET /"a HTTP/1.1\r\n\r\n', '"GET /%22a" 400 (no Host field)'),
    "a tunnel": (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", '"CONNECT a:1" 501 (this method is not implemented)'),
    "a long target": (b"GET /" + b"a" * 5000, f'"GET /{"a" * 199}..." 414 (the request target is too long)'),
    "many fields": (b"GET /x HTTP/1.1\r\n" + b"a: b\r\n" * 4 + b"\r\n", '"GET /x" 431 (too many header fields)'),
    "a large head": (b"GET /x HTTP/1.1\r\na: " + b"b" * 9000, '"GET /x" 431 (the request head is too large)'),
    "half a head": (b"GET /x HTTP/1.1\r\na", '"GET /x" 408 (the request head did not come in time)'),
    "a large body": (
        b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n",
        '"PUT /" 413 (the request body is too large)',
    ),
    "chunks": (
        b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n123456789\r\n",
        '"PUT / HTTP/1.1" 413 (the request body is too large)',
    ),
    "a WebSocket by POST": (
        b"POST /s HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        '"POST /s" 405 (a WebSocket begins with GET)',
    ),
}


@pytest.mark.parametrize(("request_bytes", "line"), REFUSED.values(), ids=REFUSED)
async def test_a_request_that_is_refused_has_a_line_with_its_reason_in_the_access_log(caplog, request_bytes, line):
    """P12. One line, behind the client's address, and of what the client said no more than fits into it."""
    caplog.set_level("INFO", "towpath.access")
    limits = InterfaceSettings(
        target_size_bytes_max=1000,
        head_size_bytes_max=8000,
        header_fields_max=3,
        body_size_bytes_max=8,
        head_timeout_s=0.1,
    )
    async with served(waiting, limits) as server:
        assert b" %b " % line.rpartition('" ')[2][:3].encode() in await server.ask(request_bytes)
    (message,) = caplog.messages
    assert message.startswith("127.0.0.1:") and message.endswith(" - " + line)


async def test_one_clients_nonsense_costs_nobody_else_anything():
    """P12. Hundreds of broken clients, and one that does not notice."""
    async with served(hello, SETTINGS) as server:
        good = await server.connect()
        for nonsense in (
            b"\0" * 1000,
            b"GET / HTTP/1.1\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\na",
        ):
            for _ in range(20):
                bad = await server.connect()
                bad.write(nonsense)
                await bad.writer.drain()
                bad.reset()
            good.write(GET)
            assert (await good.response())[0] == 200
        await until(lambda: len(server.factory.http1.connections) == 1)


async def test_a_late_last_word_after_a_response_with_a_fault_reaches_nobody(caplog):
    """A body that is longer than declared: the client has its response, the log has the connection's name."""

    async def longer(scope: Event, receive: Receive, send: Send) -> None:
        await send({**START, "headers": [(b"content-length", b"3")]})
        await send(body(b"abc", more=True))
        await send(body(b"def", more=True))
        await send(body(b"ghi"))

    async with served(longer, SETTINGS) as server:
        client = await server.connect()
        client.write(GET)
        assert (await client.rest()).endswith(b"\r\n\r\nabc")
        assert server.context.counters["broken.longer"] == 1
        assert "longer than its Content-Length" in caplog.text
