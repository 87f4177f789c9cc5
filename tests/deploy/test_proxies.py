"""The files of deploy/proxies, each run by its own program in front of real interface servers."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from tests.deploy.front_servers import FILES, NAMES, fronted, param
from tests.support.facts import wait_until
from tests.support.plain_http import PLAIN
from tests.support.redis_server import RedisServer
from tests.support.serving import READY_PATH, Server, is_ready, towpath_interface, towpath_serve, towpath_worker

ROOT = Path(__file__).parents[2]
#: The client's own address. The proxies' is 127.0.0.1, the only one that Towpath trusts here.
CLIENT = "127.0.0.2"
#: More than nginx lets pass by itself, and than any buffer holds.
BODY = bytes(range(256)) * 12_000
APPLICATION = """
import hashlib, json

left = []


async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    seen = {"client": scope["client"][0], "scheme": scope["scheme"], "path": scope["path"], "port": scope["server"][1], "left": left}
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": json.dumps(seen)})
        while (event := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": event["text"]})
        left.append(scope["query_string"].decode())
        return
    body, more = hashlib.sha256(), True
    while more:
        event = await receive()
        body.update(event.get("body", b""))
        more = event.get("more_body", False)
    seen["sha256"] = body.hexdigest()
    if scope["path"] == "/waits":
        await receive()
        left.append(scope["query_string"].decode())
        return
    kind = {"/events": b"text/event-stream", "/lines": b"text/plain"}.get(scope["path"], b"application/json")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
    if kind != b"application/json":
        await send({"type": "http.response.body", "body": b"data: line\\n\\n", "more_body": True})
        await receive()
        left.append(scope["query_string"].decode())
        return
    await send({"type": "http.response.body", "body": json.dumps(seen).encode()})
"""

every_proxy = pytest.mark.parametrize("program", [param(program) for program in NAMES])
with_health_checks = pytest.mark.parametrize("program", [param("haproxy"), param("caddy")])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Behind each proxy, one after the other."""
    folder = tmp_path_factory.mktemp("behind")
    (folder / "mirror.py").write_text(APPLICATION)
    with towpath_serve("mirror", run_dir=folder, app_dir=folder) as server:
        yield server


def client_at(address: str) -> httpx.Client:
    return httpx.Client(transport=httpx.HTTPTransport(local_address=address, verify=PLAIN["verify"]), timeout=20)


@every_proxy
def test_a_page_has_the_address_of_its_client_and_not_one_that_the_client_wrote(
    program: str, tmp_path: Path, server: Server
) -> None:
    """What the proxy appends or sets counts; what came in front of it does not."""
    with fronted(program, tmp_path, [server.port]) as proxy, client_at(CLIENT) as client:
        forged = {"x-forwarded-for": "192.0.2.7", "x-forwarded-proto": "https"}
        seen = client.get(proxy.url + "/page?x=1", headers=forged).json()
        assert (seen["client"], seen["scheme"], seen["path"]) == (CLIENT, "http", "/page")
        assert client.get(proxy.url + READY_PATH).status_code == 200


@every_proxy
def test_a_websocket_passes_with_the_address_of_its_client_and_its_end(
    program: str, tmp_path: Path, server: Server
) -> None:
    """Both ways, and the application learns when the client has left."""
    with fronted(program, tmp_path, [server.port]) as proxy, client_at(CLIENT) as client:
        address = f"{proxy.websocket_url}/socket?{tmp_path.name}"
        with connect(address, proxy=None, source_address=(CLIENT, 0)) as socket:
            assert f'"client": "{CLIENT}", "scheme": "ws"' in str(socket.recv(timeout=20))
            for message in ("hello", "x" * 300_000):
                socket.send(message)
                assert socket.recv(timeout=20) == message
        wait_until(lambda: tmp_path.name in client.get(proxy.url).json()["left"])


@every_proxy
@pytest.mark.parametrize("path", ["/events", "/lines"])
def test_a_stream_arrives_as_it_is_sent_and_ends_with_its_client(
    program: str, path: str, tmp_path: Path, server: Server
) -> None:
    """The first line comes while the application waits; when the client has left, the application is told."""
    with fronted(program, tmp_path, [server.port]) as proxy, client_at(CLIENT) as client:
        with client.stream("GET", f"{proxy.url}{path}?{tmp_path.name}") as stream:
            assert next(stream.iter_lines()) == "data: line"
        wait_until(lambda: tmp_path.name in client.get(proxy.url).json()["left"])


@every_proxy
def test_an_application_that_has_not_answered_learns_that_its_client_has_left(
    program: str, tmp_path: Path, server: Server
) -> None:
    """A long poll, or a long computation that may be cancelled."""
    with fronted(program, tmp_path, [server.port]) as proxy, client_at(CLIENT) as client:
        with pytest.raises(httpx.ReadTimeout):
            client.get(f"{proxy.url}/waits?{tmp_path.name}", timeout=1)
        wait_until(lambda: tmp_path.name in client.get(proxy.url).json()["left"])


@every_proxy
@pytest.mark.parametrize("chunked", [False, True], ids=["with its length", "chunked"])
def test_a_body_of_three_megabytes_arrives_whole(program: str, chunked: bool, tmp_path: Path, server: Server) -> None:
    """nginx answers 413 from 1 MiB on where nothing else is set."""
    with fronted(program, tmp_path, [server.port]) as proxy, client_at(CLIENT) as client:
        answer = client.post(proxy.url, content=iter([BODY[:1_000_000], BODY[1_000_000:]]) if chunked else BODY)
        assert answer.status_code == 200
        assert answer.json()["sha256"] == hashlib.sha256(BODY).hexdigest()


# Several interface servers


@pytest.fixture
def two(tmp_path: Path, own_redis: RedisServer) -> Iterator[list[Server]]:
    """Two interface servers with ports of their own, and a worker."""
    (tmp_path / "mirror.py").write_text(APPLICATION)
    with ExitStack() as stack:
        servers = [
            stack.enter_context(
                towpath_interface(
                    own_redis.url,
                    run_dir=tmp_path / name,
                    options=["--drain-delay", "30", "--timeout-graceful-shutdown", "60"],
                    exit_codes=(0, -signal.SIGKILL),
                )
            )
            for name in ("first", "second")
        ]
        stack.enter_context(towpath_worker("mirror", own_redis.url, run_dir=tmp_path / "worker", app_dir=tmp_path))
        yield servers
        for server in servers:  # they would wait for balancers
            server.process.kill()


def served_by(proxy: Server, requests: int) -> set[int]:
    """The interface servers that these requests, all answered with 200, came through: each with a connection of its own."""
    found = set()
    for _ in range(requests):
        answer = httpx.get(proxy.url, **PLAIN, timeout=20)
        assert answer.status_code == 200, answer.text
        found.add(answer.json()["port"])
    return found


@every_proxy
def test_an_interface_server_that_is_killed_costs_no_request(program: str, tmp_path: Path, two: list[Server]) -> None:
    """A refused connection, or one that was kept and is gone: the other interface server gets the request."""
    first, second = two
    with fronted(program, tmp_path, [each.port for each in two]) as proxy:
        wait_until(lambda: served_by(proxy, 4) == {first.port, second.port})
        second.process.kill()
        second.process.wait()
        assert served_by(proxy, 40) == {first.port}


@with_health_checks
def test_an_interface_server_that_drains_gets_no_more_requests(program: str, tmp_path: Path, two: list[Server]) -> None:
    """It still accepts, for --drain-delay, and says that it is not ready; so it is left before it is closed."""
    first, second = two
    with fronted(program, tmp_path, [each.port for each in two]) as proxy:
        wait_until(lambda: served_by(proxy, 4) == {first.port, second.port})
        second.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not is_ready(second))
        wait_until(lambda: served_by(proxy, 8) == {first.port}, "the one that drains is left")
        assert httpx.get(second.url, **PLAIN, timeout=20).json()["port"] == second.port, "it would still have answered"
        assert served_by(proxy, 20) == {first.port}
        second.process.kill()


def test_the_document_names_each_file() -> None:
    """OPERATIONS.md leads to all of them, and to none that is not there."""
    text = (ROOT / "OPERATIONS.md").read_text("utf-8")
    assert sorted(path.name for path in FILES.iterdir()) == sorted(NAMES.values())
    assert not [name for name in NAMES.values() if f"](deploy/proxies/{name})" not in text]
