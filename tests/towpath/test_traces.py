"""Traces on real processes: what a collector gets from an interface server and a worker of a `serve`, over OTLP."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from websockets.sync.client import connect

from tests.support.facts import wait_until
from tests.support.plain_http import PLAIN
from tests.support.redis_server import RedisServer
from tests.support.serving import Server, environment, towpath_serve

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
ASGI = """
import json
from opentelemetry import trace

async def application(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": str(trace.get_current_span().get_span_context().span_id)})
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
        found: list[Span] = []

        def there() -> bool:
            found[:] = [span for span in self.spans if span.trace_id.hex() == trace_id]
            return len(found) >= count

        wait_until(there, f"{count} spans of {trace_id}")
        return {span.kind: span for span in found}


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
def test_a_body_and_a_websocket_pass(server: Server, collector: Collector) -> None:
    """The socket has no span."""
    answer = httpx.post(server.url, content=b"x" * 1_000_000, **PLAIN, timeout=20)
    assert (
        attributes(collector.trace(answer.json()["given"][0].split("-")[1])[Span.SPAN_KIND_SERVER])[
            "http.request.method"
        ]
        == "POST"
    )
    with connect(server.websocket_url + "/socket", proxy=None) as socket:
        assert socket.recv(timeout=20) == "0"


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
