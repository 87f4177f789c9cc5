"""Traces on real processes: what a collector gets from an interface server and a worker of a `serve`, over OTLP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import SHUT_RDWR
from uuid import uuid4

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.support.facts import wait_until
from tests.support.plain_http import PLAIN
from tests.support.redis_server import RedisServer
from tests.support.serving import Server, environment, recorded, towpath_serve

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
ASGI = """
import json
from opentelemetry import trace

async def application(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        if scope["path"] == "/refused":
            return await send({"type": "websocket.close"})
        await send({"type": "websocket.accept", "resumable": True})
        while (event := await receive())["type"] != "websocket.disconnect":
            if event["text"] == "fail":
                raise RuntimeError("as it is meant")
            if event["text"] == "close":
                return await send({"type": "websocket.close", "code": 3001})
            await send({"type": "websocket.send", "text": f"{trace.get_current_span().get_span_context().span_id:016x}"})
    if scope["type"] != "http":
        return
    if scope["path"] == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        await send({"type": "http.response.body", "body": b"data: one\\n\\n", "more_body": True})
        await receive()
        await receive()
        return
    if scope["path"] == "/raises":
        raise RuntimeError("as it is meant")
    given = [value.decode() for name, value in scope["headers"] if name == b"traceparent"]
    current = trace.get_current_span().get_span_context()
    body = json.dumps({"given": given, "current": f"{current.span_id:016x}"}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""
WSGI = """
import json

def application(environ, start_response):
    start_response("200 OK", [])
    return [json.dumps({"given": [environ["HTTP_TRACEPARENT"]]}).encode()]
"""


class Collector:
    """Takes spans over OTLP, as a collector does."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.services: set[str] = set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                request = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["content-length"])))
                for each in request.resource_spans:
                    collector.services |= {
                        a.value.string_value for a in each.resource.attributes if a.key == "service.name"
                    }
                    collector.spans += [span for scope in each.scope_spans for span in scope.spans]
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def trace(self, trace_id: str, count: int = 2) -> dict[int, Span]:
        """The spans of one trace by their kind, once there are so many."""
        return {span.kind: span for span in self.all_of(trace_id, count)}

    def all_of(self, trace_id: str, count: int) -> list[Span]:
        """The spans of one trace, once there are so many, in the order of their beginnings."""
        found: list[Span] = []

        def there() -> bool:
            found[:] = [span for span in self.spans if span.trace_id.hex() == trace_id]
            return len(found) >= count

        wait_until(there, f"{count} spans of {trace_id}")
        return sorted(found, key=lambda span: span.start_time_unix_nano)


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, collector: Collector
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("traced")
    (folder / "shop.py").write_text(ASGI if request.param == "asgi" else WSGI)
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_SERVICE_NAME": "shop"}
    options = ["--traces", "--log-format", "json"]
    with towpath_serve("shop", run_dir=folder, app_dir=folder, options=options, env=env) as server:
        yield server


def attributes(span: Span) -> dict[str, object]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes}


def test_a_trace_goes_on_from_the_client_to_the_application(server: Server, collector: Collector) -> None:
    """Client, interface server, worker, application: each is the parent of the next."""
    trace_id = uuid4().hex
    given = {"traceparent": f"00-{trace_id}-{PARENT}-01"}
    seen = httpx.get(f"{server.url}/page?x=1", headers=given, **PLAIN, timeout=20).json()
    spans = collector.trace(trace_id)
    outer, inner = spans[Span.SPAN_KIND_SERVER], spans[Span.SPAN_KIND_INTERNAL]
    assert outer.parent_span_id.hex() == PARENT
    assert inner.parent_span_id == outer.span_id
    assert seen["given"] == [f"00-{trace_id}-{inner.span_id.hex()}-01"]
    assert seen.get("current", inner.span_id.hex()) == inner.span_id.hex()
    for span in (outer, inner):
        found = attributes(span)
        assert (found["http.request.method"], found["url.path"], found["http.response.status_code"]) == (
            "GET",
            "/page",
            200,
        )
        assert (span.name, found["url.scheme"], found["client.address"]) == ("GET", "http", "127.0.0.1")
    assert "!" in str(attributes(outer)["towpath.channel"])
    assert collector.services == {"shop"}


def test_a_request_without_a_trace_begins_one(server: Server, collector: Collector) -> None:
    """Its first span has no parent."""
    seen = httpx.get(server.url, **PLAIN, timeout=20).json()
    spans = collector.trace(seen["given"][0].split("-")[1])
    assert spans[Span.SPAN_KIND_SERVER].parent_span_id == b""


def test_the_access_line_of_a_traced_request_has_its_connection_and_its_time(server: Server) -> None:
    """Both stand between an exchange and the dispatcher, and each has to find what it looks for."""
    assert httpx.get(server.url + "/logged", **PLAIN, timeout=20).status_code == 200

    def lines() -> list[dict[str, object]]:
        found = [json.loads(line) for line in server.log.splitlines(keepends=True) if line.endswith("\n")]
        return [line for line in found if line.get("target") == "/logged"]

    wait_until(lines, "the access line")
    (line,) = lines()
    assert "!" in str(line.get("connection")) and "duration_s" in line


@pytest.mark.parametrize("server", ["asgi"], indirect=True)
def test_an_application_that_raises_is_an_error_in_both_spans(server: Server, collector: Collector) -> None:
    """The worker's has the exception, the interface server's the status that the client saw."""
    trace_id = "1" * 32
    given = {"traceparent": f"00-{trace_id}-{PARENT}-01"}
    assert httpx.get(server.url + "/raises", headers=given, **PLAIN, timeout=20).status_code == 500
    spans = collector.trace(trace_id)
    outer, inner = spans[Span.SPAN_KIND_SERVER], spans[Span.SPAN_KIND_INTERNAL]
    assert attributes(outer)["http.response.status_code"] == 500
    assert outer.status.code == inner.status.code == Status.STATUS_CODE_ERROR
    assert "as it is meant" in str(inner.events)


@pytest.mark.parametrize("server", ["asgi"], indirect=True)
def test_a_client_that_leaves_a_stream_ends_its_spans(server: Server, collector: Collector) -> None:
    """And the stream is a stream: its first event comes while the application waits."""
    trace_id = "2" * 32
    given = {"traceparent": f"00-{trace_id}-{PARENT}-01"}
    with (
        httpx.Client(**PLAIN, timeout=20) as client,
        client.stream("GET", server.url + "/stream", headers=given) as stream,
    ):
        assert next(stream.iter_lines()) == "data: one"
    spans = collector.trace(trace_id)
    assert attributes(spans[Span.SPAN_KIND_SERVER])["error.type"] == "incomplete"
    assert attributes(spans[Span.SPAN_KIND_INTERNAL])["http.response.status_code"] == 200


@pytest.mark.parametrize("server", ["asgi"], indirect=True)
def test_a_body_passes(server: Server, collector: Collector) -> None:
    """In its parts."""
    answer = httpx.post(server.url, content=b"x" * 1_000_000, **PLAIN, timeout=20)
    assert (
        attributes(collector.trace(answer.json()["given"][0].split("-")[1])[Span.SPAN_KIND_SERVER])[
            "http.request.method"
        ]
        == "POST"
    )


def traced(server: Server, trace_id: str, path: str = "/socket") -> ClientConnection:
    """A WebSocket of this trace."""
    given = {"traceparent": f"00-{trace_id}-{PARENT}-01"}
    return connect(server.websocket_url + path, proxy=None, additional_headers=given)


@pytest.mark.parametrize("server", ["asgi"], indirect=True)
@pytest.mark.parametrize(("said", "code"), [("leave", 1000), ("close", 3001), ("fail", 1011)])
def test_a_websocket_has_a_span_from_its_handshake_to_its_close(
    server: Server, collector: Collector, said: str, code: int
) -> None:
    """In both processes, with the code of its end, whichever side closes."""
    trace_id = uuid4().hex
    with traced(server, trace_id) as socket:
        socket.send("hello")
        current = socket.recv(timeout=20)
        if said != "leave":
            socket.send(said)
            with pytest.raises(ConnectionClosed):
                socket.recv(timeout=20)
    spans = collector.trace(trace_id)
    outer, inner = spans[Span.SPAN_KIND_SERVER], spans[Span.SPAN_KIND_INTERNAL]
    assert outer.parent_span_id.hex() == PARENT
    assert (inner.parent_span_id, inner.span_id.hex()) == (outer.span_id, current)
    for span in (outer, inner):
        found = attributes(span)
        shown = (span.name, found["http.request.method"], found["url.path"], found["url.scheme"])
        assert shown == ("websocket", "GET", "/socket", "ws")
        assert found["http.response.status_code"] == 101
        assert (span.status.code == Status.STATUS_CODE_ERROR) == (code == 1011)
    assert "!" in str(attributes(outer)["towpath.channel"])
    assert attributes(outer)["towpath.close_code"] == code
    if said == "fail":
        assert "as it is meant" in str(inner.events)
    else:
        assert attributes(inner)["towpath.close_code"] == code


@pytest.mark.parametrize("server", ["asgi"], indirect=True)
def test_a_handshake_that_is_refused_ends_its_spans(server: Server, collector: Collector) -> None:
    """With the status of the answer, and without a close."""
    trace_id = uuid4().hex
    with pytest.raises(InvalidStatus):
        traced(server, trace_id, "/refused")
    for span in collector.trace(trace_id).values():
        assert attributes(span)["http.response.status_code"] == 403
        assert not attributes(span).keys() & {"towpath.close_code", "error.type"}


@pytest.mark.parametrize("server", ["asgi"], indirect=True)
def test_a_client_that_vanishes_is_no_close(server: Server, collector: Collector) -> None:
    """1006 means that there was none."""
    trace_id = uuid4().hex
    socket = traced(server, trace_id)
    socket.socket.shutdown(SHUT_RDWR)
    found = attributes(collector.trace(trace_id)[Span.SPAN_KIND_SERVER])
    assert (found["towpath.close_code"], found["error.type"]) == (1006, "incomplete")


def test_a_websocket_that_is_handed_over_has_a_span_for_each_instance(tmp_path: Path, collector: Collector) -> None:
    """Both are children of the one in the interface server, which goes on."""
    (tmp_path / "shop.py").write_text(ASGI)
    trace_id = uuid4().hex
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with towpath_serve("shop", run_dir=tmp_path, app_dir=tmp_path, options=["--traces"], env=env) as server:
        with traced(server, trace_id) as socket:
            socket.send("hello")
            first = socket.recv(timeout=20)
            os.kill(recorded(tmp_path / "run" / "pids" / "worker-0") or 0, signal.SIGTERM)
            assert [span.span_id.hex() for span in collector.all_of(trace_id, 1)] == [first]
            socket.send("hello")
            second = socket.recv(timeout=20)
        outer, left, taken = collector.all_of(trace_id, 3)
    assert [left.span_id.hex(), taken.span_id.hex()] == [first, second]
    assert left.parent_span_id == taken.parent_span_id == outer.span_id
    assert [attributes(span)["towpath.close_code"] for span in (outer, left, taken)] == [1000, 1012, 1000]
    assert [event.name for event in outer.events] == ["towpath.adopted"] * 2


@pytest.mark.parametrize("command", ["interface", "worker"])
def test_without_the_libraries_a_process_says_what_to_install(
    command: str, tmp_path: Path, redis_server: RedisServer
) -> None:
    """In one sentence, with the exit code of what cannot start."""
    (tmp_path / "shop.py").write_text(WSGI)
    hidden = "import sys; sys.modules['opentelemetry'] = None; sys.argv[0] = 'towpath'; from towpath.__main__ import main; main()"
    words = [command, *(["shop", "--app-dir", str(tmp_path)] if command == "worker" else ["--port", "0"])]
    done = subprocess.run(
        [sys.executable, "-c", hidden, *words, "--redis", redis_server.url, "--traces"],
        env=environment({}),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 3
    assert "--traces needs OpenTelemetry: pip install 'towpath[otel]'" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_without_the_option_nothing_is_traced_and_the_header_passes(tmp_path: Path) -> None:
    """The application's own instrumentation sees the client's trace as it came."""
    (tmp_path / "shop.py").write_text(WSGI)
    given = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    with towpath_serve("shop", run_dir=tmp_path, app_dir=tmp_path) as server:
        seen = json.loads(httpx.get(server.url, headers=given, **PLAIN, timeout=20).text)
    assert seen["given"] == [given["traceparent"]]


def test_a_collector_that_does_not_answer_delays_no_request_and_no_end(tmp_path: Path) -> None:
    """Spans are lost then. The end of the `serve` is that of the fixture, within its graceful time."""
    (tmp_path / "shop.py").write_text(WSGI)
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    with towpath_serve("shop", run_dir=tmp_path, app_dir=tmp_path, options=["--traces"], env=env) as server:
        assert httpx.get(server.url, **PLAIN, timeout=5).status_code == 200
