"""Starlette, unmodified: what its documentation promises holds under Towpath as it does under uvicorn."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.applications.served import KINDS, ours, served
from tests.support.serving import Server


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    run_dir = tmp_path_factory.mktemp(f"starlette-{request.param}")
    files = run_dir / "files"
    files.mkdir()
    (files / "map.txt").write_text("0123456789" * 1000)
    with served(request.param, "starlette_app:app", run_dir, env={"FILES": str(files)}) as server:
        yield server


def dial(server: Server, path: str, subprotocols: list[str] | None = None) -> ClientConnection:
    return connect(server.websocket_url + path, proxy=None, open_timeout=15, subprotocols=subprotocols)  # type: ignore[arg-type]


def test_a_request_arrives_as_it_was_sent(client: httpx.Client, server: Server) -> None:
    """Method, target, repeated headers in order, body and addresses."""
    headers = [("X", "one"), ("x", "two")]
    answer = client.post("/echo/l%C3%B6ck%2Fe?a=1&a=2&b=%20", content="körper", headers=headers)
    assert answer.status_code == 405, "this route has GET only"
    answer = client.get("/echo/l%C3%B6ck%2Fe?a=1&a=2&b=%20", headers=headers)
    assert answer.status_code == 200
    assert answer.json() == {
        "method": "GET",
        "path": "/echo/löck/e",
        "raw_path": "/echo/l%C3%B6ck%2Fe",
        "query": [["a", "1"], ["a", "2"], ["b", " "]],
        "host": f"127.0.0.1:{server.port}",
        "xs": ["one", "two"],
        "client": "127.0.0.1",
        "scheme": "http",
        "body": "",
    }
    assert answer.headers["x-stamp"] == "stamped"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_body_arrives_whole_or_in_chunks(client: httpx.Client, method: str) -> None:
    """Content-Length and chunked transfer are the same to the application."""
    assert client.request(method, "/echo", content="körper").json()["body"] == "körper"
    assert client.request(method, "/echo", content=iter([b"bo", b"dy"])).json()["body"] == "body"


def test_head_has_the_headers_of_get_and_no_body(client: httpx.Client) -> None:
    got, asked = client.get("/echo"), client.head("/echo")
    assert asked.status_code == 200
    assert asked.content == b""
    assert asked.headers["content-type"] == got.headers["content-type"]


def test_the_state_of_the_lifespan_reaches_every_request_as_a_copy(client: httpx.Client) -> None:
    """What one request adds is not seen by the next; what the lifespan made is shared."""
    first = client.get("/state").json()
    second = client.get("/state-again").json()
    assert first["greeting"] == "from the lifespan"
    assert second == {"mine": None, "seen": first["seen"]}


def test_an_upload_of_20_mb_is_read_in_parts(client: httpx.Client) -> None:
    content = bytes(range(256)) * (20_000_000 // 256)
    answer = client.post("/digest", content=content).json()
    assert answer == {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}


def test_a_form_with_a_file_is_parsed(client: httpx.Client) -> None:
    content = b"cargo" * 300_000
    answer = client.post("/form", data={"name": "Nymph"}, files={"file": ("cargo.bin", content)}).json()
    assert answer == {"name": "Nymph", "filename": "cargo.bin", "sha256": hashlib.sha256(content).hexdigest()}


def test_a_stream_reaches_the_client_part_by_part(client: httpx.Client, other: httpx.Client) -> None:
    """The second part is made only after the client has read the first."""
    with client.stream("GET", "/stream/parts") as answer:
        parts = answer.iter_raw()
        assert next(parts) == b"first"
        assert other.post("/ring/parts").status_code == 204
        assert b"".join(parts) == b"second"


def test_a_download_of_20_mb_is_whole(client: httpx.Client) -> None:
    with client.stream("GET", "/download", params={"size": 20_000_001}) as answer:
        assert sum(map(len, answer.iter_raw())) == 20_000_001


@ours
def test_a_client_that_leaves_a_stream_ends_it(client: httpx.Client, other: httpx.Client) -> None:
    """The generator is closed: `send()` raises, so this holds behind BaseHTTPMiddleware too. Under uvicorn it runs on for ever.

    Behind that middleware the generator stands in a reference cycle, and is closed when Python collects next: so others ask on.
    """
    with client.stream("GET", "/left/stream") as answer:
        assert next(answer.iter_raw())
    with ThreadPoolExecutor(1) as pool:
        heard = pool.submit(other.get, "/heard/stream")
        while not heard.done():
            client.get("/")
    assert heard.result().text == "rung"


def test_background_work_outlives_its_response(client: httpx.Client) -> None:
    """The response is complete before the work is; the next request on the same connection is served meanwhile."""
    assert client.get("/background/work").text == "answered"
    assert client.post("/ring/work-go").status_code == 204
    assert client.get("/heard/work").text == "worked"


def test_cookies_and_redirects_work(client: httpx.Client) -> None:
    answer = client.get("/cookies")
    assert answer.status_code == 303
    assert answer.headers.get_list("set-cookie") == [
        "one=1; HttpOnly; Path=/; SameSite=lax",
        "two=2; Path=/; SameSite=lax",
    ]
    assert client.get(answer.headers["location"]).status_code == 200


def test_gzip_middleware_compresses_and_the_client_reads_it(client: httpx.Client) -> None:
    with client.stream("GET", "/long") as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(raw) == b"towpath " * 5000


def test_static_files_have_types_ranges_and_validators(client: httpx.Client) -> None:
    whole = client.get("/files/map.txt")
    assert whole.headers["content-type"].startswith("text/plain")
    assert whole.text == "0123456789" * 1000
    part = client.get("/files/map.txt", headers={"range": "bytes=5-9"})
    assert (part.status_code, part.text) == (206, "56789")
    again = client.get("/files/map.txt", headers={"if-none-match": whole.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/files/none.txt").status_code == 404


def test_a_view_that_raises_gives_500_and_the_next_request_is_served(
    client: httpx.Client, other: httpx.Client, server: Server
) -> None:
    """On a new connection: uvicorn closes the first one."""
    answer = client.get("/fail")
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    assert other.get("/echo").status_code == 200
    server.wait_for_log("LookupError: this view always fails")


@pytest.mark.parametrize("message", ["hello", "", "grüße ⛵", b"\x00\xff", b"", "x" * 300_000, b"y" * 300_000])
def test_a_websocket_echoes_text_and_bytes(server: Server, message: str | bytes) -> None:
    """Empty messages and large ones too; text stays text and bytes stay bytes."""
    with dial(server, "/talk") as socket:
        socket.send(message)
        assert socket.recv(timeout=15) == message


def test_a_websocket_has_its_subprotocol_and_headers(server: Server) -> None:
    with dial(server, "/talk", ["barge", "narrowboat"]) as socket:
        assert socket.subprotocol == "narrowboat"
        assert socket.response is not None
        assert socket.response.headers["x-welcome"] == "aboard"


def test_an_application_closes_with_its_own_code_and_reason(server: Server) -> None:
    with dial(server, "/talk") as socket:
        socket.send("close")
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=15)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4321, "as you wish")


def test_the_application_hears_with_which_code_a_client_left(client: httpx.Client, server: Server) -> None:
    with dial(server, "/talk") as socket:
        socket.close(4002, "gone ashore")
    assert client.get("/heard/talk-4002").status_code == 200


def test_a_denied_handshake_gets_the_response_that_the_application_made(server: Server) -> None:
    with pytest.raises(InvalidStatus) as refused:
        dial(server, "/guarded")
    response = refused.value.response
    assert (response.status_code, response.headers["x-gate"], response.body) == (401, "shut", b'{"why":"no ticket"}')


def test_a_rejected_handshake_gets_403(server: Server) -> None:
    with pytest.raises(InvalidStatus) as refused:
        dial(server, "/rejected")
    assert refused.value.response.status_code == 403
