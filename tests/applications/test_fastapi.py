"""FastAPI, unmodified: what its documentation promises holds under Towpath as it does under uvicorn."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.applications.rude_clients import read_until, request_head, reset
from tests.applications.served import KINDS, served
from tests.support.serving import Server


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(request.param, "fastapi_app:app", tmp_path_factory.mktemp(f"fastapi-{request.param}")) as server:
        yield server


def test_a_valid_body_is_accepted_and_dependencies_run(client: httpx.Client) -> None:
    answer = client.post("/boats", json={"name": "Nymph", "length_m": 21})
    assert answer.status_code == 201
    assert answer.json() == {"boat": {"name": "Nymph", "length_m": 21.0}, "ledger": ["opened"], "started": ["once"]}


@pytest.mark.parametrize(
    ("content", "where", "kind"),
    [
        (b'{"name": "", "length_m": 21}', ["body", "name"], "string_too_short"),
        (b'{"name": "Nymph"}', ["body", "length_m"], "missing"),
        (b"{broken", ["body", 1], "json_invalid"),
    ],
)
def test_an_invalid_body_is_answered_with_422_and_the_place(
    client: httpx.Client, content: bytes, where: list[object], kind: str
) -> None:
    answer = client.post("/boats", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert [(error["loc"], error["type"]) for error in answer.json()["detail"]] == [(where, kind)]


def test_the_schema_is_served(client: httpx.Client) -> None:
    assert client.get("/openapi.json").json()["info"]["title"] == "Boats"
    assert "swagger" in client.get("/docs").text


def test_a_sync_endpoint_runs_in_a_thread(client: httpx.Client) -> None:
    """Sync code never holds up the loop."""
    assert client.get("/sync").json() == {"main_thread": False}


def test_an_http_exception_keeps_its_status_and_headers(client: httpx.Client) -> None:
    answer = client.get("/missing")
    assert (answer.status_code, answer.headers["x-why"], answer.json()) == (404, "sunk", {"detail": "no such boat"})


def test_an_endpoint_that_raises_gives_500_and_the_next_request_is_served(
    client: httpx.Client, other: httpx.Client
) -> None:
    """On a new connection: uvicorn closes the first one."""
    assert client.get("/fail").status_code == 500
    assert other.get("/sync").status_code == 200


def test_an_uploaded_file_of_20_mb_arrives_whole(client: httpx.Client) -> None:
    content = bytes(range(256)) * (20_000_000 // 256)
    answer = client.post("/upload", files={"file": ("cargo.bin", content)}).json()
    assert answer == {
        "filename": "cargo.bin",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def test_a_background_task_outlives_its_response(client: httpx.Client) -> None:
    assert client.get("/background/work").json() == "answered"
    assert client.post("/ring/work-go").status_code == 204
    assert client.get("/heard/work").json() == "worked"


def test_server_sent_events_arrive_one_by_one_and_end_with_the_client(
    client: httpx.Client, other: httpx.Client
) -> None:
    """The second event is made after the first was read; leaving ends the generator."""
    with client.stream("GET", "/events/tide") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        assert [next(lines) for _ in range(3)] == ["id: 1", "data: cast off", ""]
        other.post("/ring/tide")
        assert [next(lines) for _ in range(3)] == ["id: 2", "data: under way", ""]
    assert other.get("/heard/tide-left").json() == "rung"


def test_a_websocket_talks_json_with_path_and_query_parameters(server: Server, client: httpx.Client) -> None:
    with connect(server.websocket_url + "/chat/lock?name=Ann", proxy=None) as socket:
        for said in ({"text": "ahoy"}, ["a", 1, None]):
            socket.send(json.dumps(said))
            assert json.loads(socket.recv(timeout=15)) == {"room": "lock", "name": "Ann", "said": said}
        socket.close(1001)
    assert client.get("/heard/lock-left").json() == "1001"


def test_a_websocket_endpoint_that_raises_closes_with_an_error_code(server: Server, client: httpx.Client) -> None:
    """1011 under Towpath; uvicorn says 1011 or 1006 by version, never 1000."""
    with connect(server.websocket_url + "/broken", proxy=None) as socket:
        socket.send("break")
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=15)
    code = closed.value.rcvd.code if closed.value.rcvd else 1006
    assert code == 1011 or (server.kind == "uvicorn" and code == 1006)
    assert client.get("/sync").status_code == 200


@pytest.mark.parametrize("middleware", ["plain", "behind"])
def test_a_client_that_leaves_before_the_answer_undoes_nothing(
    server: Server, client: httpx.Client, middleware: str
) -> None:
    """The answer is for nobody; the dependency commits, and the background task runs. Behind BaseHTTPMiddleware too."""
    leave(server, client, "POST", f"/{middleware}/orders/{middleware}")
    assert client.get(f"/heard/{middleware}-background").json() == "worked"
    assert client.get(f"/heard/{middleware}-transaction").json() == "committed"


def test_an_exception_handler_answers_a_client_that_has_left_like_any_other(
    server: Server, client: httpx.Client
) -> None:
    leave(server, client, "POST", "/plain/late/handled")
    assert client.get("/heard/handled-background").json() == "worked"


def test_a_file_whose_client_leaves_is_removed_by_its_background_task(server: Server, client: httpx.Client) -> None:
    """A file has an end, though it has more parts than an endless stream may send to nobody."""
    leaver = server.connect()
    leaver.sendall(request_head("GET", "/export/removed"))
    assert b"200 OK" in read_until(leaver, b"\r\n\r\n")
    reset(leaver)
    assert client.get("/exported/removed").json() is True


def leave(server: Server, client: httpx.Client, method: str, path: str) -> None:
    """Ask, and leave as soon as the endpoint runs."""
    leaver = server.connect()
    leaver.sendall(request_head(method, path, "Content-Length: 0"))
    assert client.get(f"/heard/{path.rpartition('/')[2]}-started").json() == "rung"
    reset(leaver)
