"""WSGI applications in the application host: PEP 3333, streams both ways, sync threads."""

from __future__ import annotations

import asyncio
import threading
from wsgiref.validate import validator

import pytest

from channel_layer.protocol.illegal_move import IllegalMove
from tests.support.facts import until
from worker.connections.interfaces import Close
from worker.errors import WrongOrder
from worker.wsgi.adapter import START_MOVES, StartState, start_step

DEADLINE_S = 10.0


def plain(*chunks, status="200 OK", headers=()):
    def application(environ, start_response):
        start_response(status, [("X-A", "1"), *headers])
        return list(chunks)

    return application


@pytest.mark.parametrize("before", StartState)
@pytest.mark.parametrize("after", StartState)
def test_the_start_of_a_response_moves_by_its_table(before, after):
    """It is given before it is queued, may be replaced until then, and is queued once."""
    if after in START_MOVES[before]:
        assert start_step(before, after) is after
    else:
        with pytest.raises(IllegalMove, match=f"from {before.name} to {after.name}"):
            start_step(before, after)
    assert START_MOVES == {
        StartState.MISSING: (StartState.GIVEN,),
        StartState.GIVEN: (StartState.GIVEN, StartState.QUEUED),
        StartState.QUEUED: (),
    }


async def test_a_second_start_without_an_error_raises_and_the_first_is_sent(hosts, new_downstream, http_scope):
    """PEP 3333: only with exc_info may a start be replaced."""
    raised = []

    def application(environ, start_response):
        start_response("200 OK", [])
        try:
            start_response("404 Not Found", [])
        except WrongOrder as error:
            raised.append(str(error))
        return [b"hello"]

    downstream = new_downstream()
    (await hosts.open(application, interface="wsgi")).start(http_scope(), b"", False, downstream)
    assert await downstream.over() == ["complete"]
    assert raised == ["start_response() was called twice without exc_info"]
    assert (downstream.status, downstream.body) == (200, b"hello")


async def test_a_small_response(hosts, new_downstream, http_scope):
    """Status, fields, body, in order, once."""
    downstream = new_downstream()
    host = await hosts.open(plain(b"hello ", b"world", status="201 Created"))
    host.start(http_scope(), b"", False, downstream)
    assert await downstream.over() == ["complete"]
    assert downstream.events[0] == {"type": "http.response.start", "status": 201, "headers": [(b"X-A", b"1")]}
    assert downstream.body == b"hello world"


async def test_the_reference_validator_finds_nothing(hosts, new_downstream, http_scope):
    """The standard library's checker of PEP 3333, on both sides of it."""

    @validator
    def application(environ, start_response):
        body = environ["wsgi.input"].read(100) + environ["wsgi.input"].readline()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [body]

    downstream = new_downstream()
    host = await hosts.open(application, interface="wsgi")
    headers = [[b"host", b"h"], [b"content-type", b"text/plain"], [b"content-length", b"6"]]
    run = host.start(http_scope("POST", headers=headers), b"abc", True, downstream)
    run.deliver({"type": "http.request", "body": b"def", "more_body": False}, 67)
    assert await downstream.over() == ["complete"]
    assert downstream.body == b"abcdef"


async def test_the_environ_says_what_the_request_said(hosts, new_downstream, http_scope):
    """CGI's variables: root path and path as bytes in disguise, repeated fields joined, spoofable ones left out."""
    seen = {}

    def application(environ, start_response):
        seen.update(environ)
        start_response("204 No Content", [])
        return []

    headers = [
        [b"host", b"example.org"],
        [b"accept", b"a"],
        [b"accept", b"b"],
        [b"cookie", b"a=1"],
        [b"cookie", b"b=2"],
        [b"x_user", b"forged"],
        [b"proxy", b"http://evil"],
        [b"content-length", b"0"],
    ]
    scope = http_scope(
        headers=headers, path="/app/ü\ufffd", raw_path=b"/app/%C3%BC%FF", root_path="/app", query_string=b"q=%20"
    )
    downstream = new_downstream()
    (await hosts.open(application)).start(scope, b"", False, downstream)
    await downstream.over()
    assert (seen["SCRIPT_NAME"], seen["PATH_INFO"]) == ("/app", "/\xc3\xbc\xff")
    assert (seen["QUERY_STRING"], seen["REMOTE_ADDR"], seen["SERVER_PORT"]) == ("q=%20", "127.0.0.1", "8000")
    assert (seen["HTTP_ACCEPT"], seen["HTTP_COOKIE"], seen["CONTENT_LENGTH"]) == ("a,b", "a=1; b=2", "0")
    assert "HTTP_X_USER" not in seen and "HTTP_PROXY" not in seen


@pytest.mark.parametrize(
    ("headers", "body", "length"),
    [
        ([[b"transfer-encoding", b"chunked"]], b"whole", "5"),
        ([[b"content-length", b"5"]], b"whole", "5"),
        ([], b"", None),
    ],
)
async def test_the_length_of_a_body_that_is_here_is_told(hosts, new_downstream, http_scope, headers, body, length):
    """RFC 3875, 4.1.2: CONTENT_LENGTH is there if and only if there is a body, however it was sent."""
    seen = {}

    def application(environ, start_response):
        seen.update(environ, read=environ["wsgi.input"].read())
        start_response("204 No Content", [])
        return []

    downstream = new_downstream()
    (await hosts.open(application)).start(
        http_scope("POST", headers=[[b"host", b"h"], *headers]), body, False, downstream
    )
    await downstream.over()
    assert (seen.get("CONTENT_LENGTH"), seen["read"]) == (length, body)


async def test_chunks_may_be_whatever_is_bytes_at_heart(hosts, new_downstream, http_scope):
    """A memoryview of a file, a bytearray that is used again: what was said is said, whatever becomes of it."""
    buffer = bytearray(b"two ")

    def application(environ, start_response):
        write = start_response("200 OK", [])
        write(memoryview(b"one "))
        yield buffer
        buffer[:] = b"xxxx"
        yield memoryview(b"")
        yield b"three"

    downstream = new_downstream()
    (await hosts.open(application, interface="wsgi")).start(http_scope(), b"", False, downstream)
    assert await downstream.over() == ["complete"]
    assert downstream.body == b"one two three"


@pytest.mark.parametrize(("scheme", "port"), [("http", "80"), ("https", "443")])
async def test_behind_a_unix_socket_every_variable_is_there_and_none_is_a_path(
    hosts, new_downstream, http_scope, scheme, port
):
    """PEP 3333: host and port are never missing or empty. Views read REMOTE_ADDR without asking."""
    seen = {}

    def application(environ, start_response):
        seen.update(environ)
        start_response("204 No Content", [])
        return []

    downstream = new_downstream()
    scope = http_scope(client=None, server=("/run/site.sock", None), scheme=scheme)
    (await hosts.open(application)).start(scope, b"", False, downstream)
    await downstream.over()
    assert (seen["SERVER_NAME"], seen["SERVER_PORT"], seen["REMOTE_ADDR"]) == ("localhost", port, "")


@pytest.mark.parametrize("length", [None, "9", "12"])
async def test_chunks_leave_while_the_application_still_works(hosts, new_downstream, http_scope, length):
    """A chunk is not held back for the next one, whether a length was announced or not."""
    seen = threading.Event()

    def application(environ, start_response):
        start_response("200 OK", [] if length is None else [("Content-Length", length)])
        yield b"one"
        assert seen.wait(DEADLINE_S)
        yield b"two"
        yield b"six"

    downstream = new_downstream()
    (await hosts.open(application, interface="wsgi")).start(http_scope(), b"", False, downstream)
    await downstream.until(lambda downstream: downstream.body == b"one")
    seen.set()
    assert await downstream.over() == ["complete"]
    assert downstream.body == b"onetwosix"


async def test_a_client_that_does_not_read_holds_the_application(hosts, new_downstream, http_scope):
    """P5. At most one chunk is under way while the next is made."""
    made = []

    def application(environ, start_response):
        start_response("200 OK", [])
        for number in range(50):
            made.append(number)
            yield b"x" * 1000

    downstream = new_downstream()
    downstream.has_credit = False
    run = (await hosts.open(application, interface="wsgi")).start(http_scope(), b"", False, downstream)
    await downstream.until(lambda downstream: downstream.events)
    await asyncio.to_thread(lambda: None)
    assert len(made) <= 2
    downstream.has_credit = True
    run.resume()
    assert await downstream.over() == ["complete"]
    assert len(downstream.body) == 50_000


async def test_an_upload_is_fetched_as_it_is_read(hosts, new_downstream, http_scope):
    """P5. What the application has not read is not paid for."""
    go_on = threading.Event()

    def application(environ, start_response):
        first = environ["wsgi.input"].read(3)
        assert go_on.wait(DEADLINE_S)
        rest = environ["wsgi.input"].read()
        start_response("200 OK", [])
        return [first, b"|", rest]

    downstream = new_downstream()
    run = (await hosts.open(application)).start(http_scope("POST"), b"abc", True, downstream)
    run.deliver({"type": "http.request", "body": b"def", "more_body": True}, 67)
    run.deliver({"type": "http.request", "body": b"ghi", "more_body": False}, 67)
    await downstream.until(lambda downstream: downstream.wanted_calls)
    assert downstream.consumed_bytes == []
    go_on.set()
    await downstream.over()
    assert downstream.body == b"abc|defghi"


async def test_a_client_that_leaves_in_mid_upload_ends_the_read(hosts, new_downstream, http_scope):
    """The thread is free again: a read that can never end raises OSError."""
    raised = []

    def application(environ, start_response):
        try:
            environ["wsgi.input"].read()
        except OSError as error:
            raised.append(error)
            raise

    downstream = new_downstream()
    host = await hosts.open(application)
    run = host.start(http_scope("POST"), b"abc", True, downstream)
    await downstream.until(lambda downstream: downstream.wanted_calls)
    run.disconnect(1006, "")
    await until(lambda: not host.running_count)
    assert raised


async def test_a_stream_whose_client_has_left_ends_at_its_next_chunk(hosts, new_downstream, http_scope, caplog):
    """Its thread is free again. As under gunicorn nothing is raised inside: the iterator is closed, and nobody is told."""
    go_on, closed = threading.Event(), []

    def application(environ, start_response):
        start_response("200 OK", [])
        try:
            while True:
                yield b"."
                assert go_on.wait(DEADLINE_S)
        except BaseException as error:
            closed.append(type(error))
            raise

    downstream = new_downstream()
    host = await hosts.open(application, interface="wsgi")
    run = host.start(http_scope(), b"", False, downstream)
    await downstream.until(lambda downstream: downstream.body)
    run.disconnect(1006, "")
    go_on.set()
    await until(lambda: not host.running_count)
    assert closed == [GeneratorExit] and caplog.text == ""


async def test_close_is_called_and_the_client_does_not_wait_for_it(hosts, new_downstream, http_scope):
    """Work after the response, as Werkzeug's call_on_close, happens after the response."""
    go_on, closed = threading.Event(), []

    class Chunks:
        def __iter__(self):
            return iter((b"done",))

        def close(self):
            assert go_on.wait(DEADLINE_S)
            closed.append(threading.current_thread().name)

    def application(environ, start_response):
        start_response("200 OK", [("Content-Length", "4")])
        return Chunks()

    downstream = new_downstream()
    host = await hosts.open(application)
    host.start(http_scope(), b"", False, downstream)
    assert await downstream.over() == ["complete"]
    go_on.set()
    await until(lambda: closed and not host.running_count)
    assert closed[0].startswith("towpath-sync-")


@pytest.mark.parametrize(
    ("application", "words"),
    [
        (lambda environ, start_response: [b"no start"], "start_response"),
        (lambda environ, start_response: [], "start_response"),
        (lambda environ, start_response: 1 / 0, "ZeroDivisionError"),
        (lambda environ, start_response: next(iter(())), "raised StopIteration"),
        (plain("text"), "chunk is of type str"),
        (plain(b"x", status="OK"), "status"),
        (plain(b"x", status=200), "status"),
        (plain(b"x", headers=[("a", "b\r\nc: d")]), "line break"),
        (plain(b"x", headers=[("a", "€")]), "latin-1"),
    ],
)
async def test_a_wrong_application_fails_loudly_and_alone(
    hosts, new_downstream, http_scope, application, words, caplog
):
    """P12. The client's side hears `failed`, the log has the reason, and nothing was sent."""
    downstream = new_downstream()
    (await hosts.open(application)).start(http_scope(), b"", False, downstream)
    assert await downstream.over() == [Close.FAILED]
    assert words in caplog.text
    assert downstream.events == []


async def test_an_error_handler_may_replace_a_response_that_has_not_left(hosts, new_downstream, http_scope):
    """start_response with exc_info: replaces the start while nothing was sent, raises once something was."""
    import sys

    def application(environ, start_response):
        start_response("200 OK", [])
        try:
            raise LookupError
        except LookupError:
            start_response("500 Sorry", [], sys.exc_info())
        return [b"sorry"]

    downstream = new_downstream()
    (await hosts.open(application)).start(http_scope(), b"", False, downstream)
    await downstream.over()
    assert (downstream.status, downstream.body) == (500, b"sorry")


async def test_slots_are_threads(hosts, new_downstream, http_scope):
    """A WSGI application takes as many requests as there are threads, however large --worker-concurrency is."""
    release = threading.Event()

    def application(environ, start_response):
        assert release.wait(DEADLINE_S)
        start_response("200 OK", [])
        return [threading.current_thread().name.encode()]

    host = await hosts.open(application, threads=3, concurrency=100)
    assert host.free("http") == 3
    downstreams = [new_downstream() for _ in range(3)]
    for downstream in downstreams:
        host.start(http_scope(), b"", False, downstream)
    assert host.free("http") == 0
    release.set()
    for downstream in downstreams:
        await downstream.over()
    assert len({downstream.body for downstream in downstreams}) == 3


async def test_a_websocket_is_rejected(hosts, new_downstream, websocket_scope):
    """WSGI knows none: a close before the accept, which the client sees as 403."""
    downstream = new_downstream()
    (await hosts.open(plain(b""))).start(websocket_scope(), b"", False, downstream)
    assert await downstream.over() == [Close.FINISHED]
    assert downstream.events == [{"type": "websocket.close", "code": 1000, "reason": ""}]
