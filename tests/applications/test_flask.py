"""Flask, unmodified, through WSGI: streams both ways, and everything that a WSGI application is told about a request."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import httpx
import pytest

from tests.applications.served import KINDS, ours, served
from tests.support.plain_http import PLAIN
from tests.support.serving import Server


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """uvicorn is told that this is WSGI; Towpath finds it out."""
    options = ("--interface", "wsgi") if request.param == "uvicorn" else ()
    run_dir = tmp_path_factory.mktemp(f"flask-{request.param}")
    with served(request.param, "flask_app:app", run_dir, options=options) as server:
        yield server


def test_a_page_is_served(client: httpx.Client) -> None:
    answer = client.get("/")
    assert (answer.status_code, answer.text) == (200, "hello from flask")
    assert answer.headers["content-length"] == "16"


@ours
def test_an_event_stream_joins_a_group_by_its_reply_channel(client: httpx.Client) -> None:
    """P10. The event does not pass the thread that holds the stream, which waits."""
    with client.stream("GET", "/listen/told") as stream:
        lines = stream.iter_lines()
        assert (next(lines), next(lines)) == ("data: listening", "")
        assert client.post("/tell").text == "told"
        assert (next(lines), next(lines)) == ("data: ding", "")
        assert client.post("/ring/told").status_code == 204
        assert list(lines) == []


def test_head_has_the_length_and_no_body(client: httpx.Client) -> None:
    answer = client.head("/")
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "16")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_a_request_arrives_as_it_was_sent(client: httpx.Client, server: Server, method: str) -> None:
    content = None if method == "GET" else "körper"
    answer = client.request(method, "/echo/l%C3%B6ck/e?a=1&a=2", content=content, headers={"X-Boat": "Nymph"})
    assert answer.json() == {
        "method": method,
        "rest": "löck/e",
        "query": {"a": ["1", "2"]},
        "script_name": "",
        "remote": "127.0.0.1",
        "host": f"127.0.0.1:{server.port}",
        "x": "Nymph",
        "body": content or "",
        "scheme": "http",
    }


@ours
def test_a_chunked_body_arrives_whole(client: httpx.Client) -> None:
    """Werkzeug reads a body without a length only if it is told that its end is marked; uvicorn's adapter does not tell."""
    answer = client.post("/upload", content=iter([b"one", b"two", b"three"]))
    assert answer.json()["sha256"] == hashlib.sha256(b"onetwothree").hexdigest()


def test_status_repeated_headers_and_cookies_come_back(client: httpx.Client) -> None:
    answer = client.get("/headers")
    assert answer.status_code == 418
    assert answer.headers["content-type"].startswith("text/x-boat")
    assert answer.headers.get_list("x-lock") == ["upper", "lower"]
    assert answer.headers.get_list("set-cookie") == ["one=1; HttpOnly; Path=/", "two=2; Path=/"]


def test_a_session_is_kept_in_its_cookie(client: httpx.Client) -> None:
    assert [client.get("/count").text for _ in range(3)] == ["1", "2", "3"]


def test_a_redirect_names_a_place_that_exists(client: httpx.Client) -> None:
    answer = client.get("/away")
    assert answer.status_code == 302
    assert client.get(answer.headers["location"]).text == "hello from flask"


def test_a_stream_reaches_the_client_part_by_part(client: httpx.Client, other: httpx.Client) -> None:
    """The second part is made only after the client has read the first."""
    with client.stream("GET", "/stream/parts?who=Ann") as answer:
        parts = answer.iter_raw()
        assert next(parts) == b"first for Ann"
        assert other.post("/ring/parts").status_code == 204
        assert b"".join(parts) == b"second"


def test_two_streams_run_at_the_same_time(client: httpx.Client, other: httpx.Client, server: Server) -> None:
    """One slow view does not hold up another."""
    with client.stream("GET", "/stream/two?who=Ann") as one, other.stream("GET", "/stream/two?who=Bob") as two:
        first, second = one.iter_raw(), two.iter_raw()
        assert (next(first), next(second)) == (b"first for Ann", b"first for Bob")
        assert httpx.post(server.url + "/ring/two", **PLAIN).status_code == 204
        assert (b"".join(first), b"".join(second)) == (b"second", b"second")


def test_a_download_of_20_mb_is_whole(client: httpx.Client) -> None:
    with client.stream("GET", "/download", params={"size": 20_000_001}) as answer:
        assert sum(map(len, answer.iter_raw())) == 20_000_001


@pytest.mark.parametrize("how", ["raw", "form"])
def test_an_upload_of_20_mb_arrives_whole(client: httpx.Client, how: str) -> None:
    content = bytes(range(256)) * (20_000_000 // 256)
    if how == "raw":
        answer = client.post("/upload", content=content)
    else:
        answer = client.post("/upload", files={"file": ("cargo.bin", content)})
    assert answer.json() == {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}


@ours
def test_a_client_that_leaves_a_stream_ends_it(client: httpx.Client, other: httpx.Client) -> None:
    """The generator is closed, so that its thread serves others. Under uvicorn it runs until the process ends."""
    with client.stream("GET", "/left/stream") as answer:
        assert next(answer.iter_raw())
    assert other.get("/heard/stream").text == "rung"


def test_a_file_is_sent_with_its_name(client: httpx.Client) -> None:
    answer = client.get("/file")
    assert answer.content == bytes(range(256)) * 40
    assert "boat.bin" in answer.headers["content-disposition"]


def test_a_view_that_raises_gives_500_and_the_next_request_is_served(client: httpx.Client, server: Server) -> None:
    assert client.get("/fail").status_code == 500
    assert client.get("/").status_code == 200
    server.wait_for_log("LookupError: this view always fails")


def test_a_stream_that_raises_is_visibly_cut(client: httpx.Client) -> None:
    """No final chunk: a client can tell a broken answer from a short one."""
    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/fail-late")
    assert client.get("/").status_code == 200


def test_a_missing_page_is_a_404(client: httpx.Client) -> None:
    assert client.get("/nowhere").status_code == 404
    assert client.post("/").status_code == 405
