"""Options from the command line or the environment to what clients and applications see of them, with uvicorn as the control.

What the settings that they fill do in detail is tested where those are; here, that the way there is whole.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from tests.promises.fleet import leases
from tests.support.facts import wait_until
from tests.support.plain_http import PLAIN
from tests.support.serving import Server, towpath_serve, uvicorn

#: Patches the loop, as libraries do that let a call wait for async code within a running loop: uvloop cannot be patched.
NESTING = """
import asyncio, sys

def patch(loop):
    if not isinstance(loop, asyncio.BaseEventLoop):
        raise ValueError(f"cannot patch a loop of type {type(loop)}")

    def wait_for(coroutine):
        outer, held = asyncio.current_task(), list(loop._ready)
        loop._ready.clear()  # the outer turn of the loop counts on finding them
        task = asyncio.ensure_future(coroutine)
        asyncio.tasks._leave_task(loop, outer)
        while not task.done():
            loop._run_once()
        asyncio.tasks._enter_task(loop, outer)
        loop._ready.extendleft(reversed(held))
        return task.result()

    loop.wait_for = wait_for

patch(asyncio.get_event_loop())

async def nested():
    await asyncio.sleep(0.01)
    return b"nested"

async def application(scope, receive, send):
    loop = asyncio.get_running_loop()
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("asked to shut down")
        return await send({"type": "lifespan.shutdown.complete"})
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": loop.wait_for(nested())})
    if scope["path"] == "/exit":
        loop.call_soon(sys.exit)
"""

APP = """
import asyncio, json, pathlib

HERE = pathlib.Path(__file__).parent
lives = []

async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        lives.append(scope)
        raise ValueError("no lifespan here")
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": str(len(event["text"]))})
        return
    if scope["path"].endswith("/held"):
        (HERE / "asked").touch()
        while not (HERE / "go on").exists():
            await asyncio.sleep(0.02)
    seen = {name: scope[name] for name in ("path", "root_path", "scheme", "client")}
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-own", b"1")]})
    await send({"type": "http.response.body", "body": json.dumps({**seen, "lives": len(lives)}).encode()})

def create():
    return application

def wsgi(environ, start_response, *more):
    start_response("200 OK", [])
    return [environ["SCRIPT_NAME"].encode() + b" " + environ["PATH_INFO"].encode()]
"""

#: Says in which process it runs.
REMEMBERING = """
import os

async def application(scope, receive, send):
    pid = str(os.getpid())
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": pid})
    elif scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": pid.encode()})
"""

#: The same words for both servers. A value of None: a flag.
SHARED = {
    "root-path": "/api",
    "forwarded-allow-ips": "127.0.0.1",
    "header": "x-one:1",
    "ws-max-size": "1000",
    "lifespan": "off",
    "log-level": "warning",
    "factory": None,
    "no-server-header": None,
    "no-date-header": None,
    "no-access-log": None,
}
PROXIED = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}


def as_options(values: dict[str, str | None]) -> list[str]:
    """On the command line."""
    return [word for name, value in values.items() for word in (f"--{name}", value) if word is not None]


def as_environment(values: dict[str, str | None]) -> dict[str, str]:
    """The same as variables."""
    said = {}
    for name, value in values.items():
        off = value is None and name.startswith("no-")
        variable = name.removeprefix("no-") if off else name
        said[f"TOWPATH_{variable.upper().replace('-', '_')}"] = "off" if off else value or "on"
    return said


@contextlib.contextmanager
def towpath(tmp_path: Path, project: Path, app: str, values: dict[str, str | None]) -> Iterator[httpx.Client]:
    """A client of `towpath serve` with these options."""
    with (
        towpath_serve(app, run_dir=tmp_path, cwd=project, options=as_options(values)) as server,
        client_of(server) as client,
    ):
        yield client


def client_of(server: Server) -> httpx.Client:
    return httpx.Client(base_url=server.url, timeout=15, **PLAIN)


@pytest.mark.parametrize("how", ["uvicorn", "options", "environment"])
def test_options_that_are_uvicorns_too_do_the_same(tmp_path: Path, project: Path, how: str) -> None:
    """As options and as variables."""
    start = uvicorn if how == "uvicorn" else towpath_serve
    options, env = ([], as_environment(SHARED)) if how == "environment" else (as_options(SHARED), {})
    with (
        start("small:create", run_dir=tmp_path, cwd=project, options=options, env=env) as server,
        client_of(server) as client,
    ):
        answer = client.get("/where", headers=PROXIED)
        assert answer.json() == {
            "path": "/api/where",
            "root_path": "/api",
            "scheme": "https",
            "client": ["203.0.113.9", 0],
            "lives": 0,
        }
        assert answer.headers["x-one"] == "1"
        assert not {"server", "date"} & set(answer.headers)
        with connect(server.websocket_url + "/", proxy=None) as socket:
            socket.send("x" * 1000)
            assert socket.recv(timeout=15) == "1000"
            socket.send("x" * 1001)
            with pytest.raises(ConnectionClosedError) as closed:
                socket.recv(timeout=15)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009
        assert "GET /" not in server.log


def test_without_a_word_what_is_on_by_default_is_on(tmp_path: Path, project: Path) -> None:
    """Server, date, access log, lifespan; compression of WebSockets is not."""
    with towpath_serve("small", run_dir=tmp_path, cwd=project) as server, client_of(server) as client:
        answer = client.get("/where", headers=PROXIED)
        assert (answer.json()["scheme"], answer.json()["lives"]) == ("https", 1)
        assert answer.headers["server"] == "towpath"
        assert "GMT" in answer.headers["date"]
        server.wait_for_log('"GET /where HTTP/1.1" 200')
        assert client.get("/-/health/ready").status_code == 200
        with connect(server.websocket_url + "/", proxy=None) as socket:
            assert not socket.protocol.extensions


def test_options_that_are_ours_reach_the_interface_server(tmp_path: Path, project: Path) -> None:
    """Limits, health elsewhere, compression, and no trusted peer."""
    values = {"limit-concurrency": "1", "max-body-size": "10", "health-path": "/up", "ws-per-message-deflate": "true"}
    values |= {"max-head-size": "2KiB", "max-target-size": "50", "max-headers": "12"}
    with towpath(tmp_path, project, "small", {**values, "no-proxy-headers": None}) as client:
        assert client.get("/where", headers=PROXIED).json()["scheme"] == "http"
        assert client.post("/where", content=b"x" * 10).status_code == 200
        assert client.post("/where", content=b"x" * 11).status_code == 413
        assert client.get("/where?" + "x" * 50).status_code == 414
        assert client.get("/where", headers={"x": "x" * 2048}).status_code == 431
        assert client.get("/where", headers={f"x-{number}": "" for number in range(12)}).status_code == 431
        assert client.get("/up/ready").content != client.get("/ready").content
        assert client.get("/-/health/ready").json()["path"] == "/-/health/ready"
        with connect(str(client.base_url).replace("http", "ws"), proxy=None) as socket:
            assert [extension.name for extension in socket.protocol.extensions] == ["permessage-deflate"]
            assert client.get("/where").status_code == 503  # the WebSocket is one already


def test_a_client_comes_back_to_the_worker_that_has_its_session(tmp_path: Path, project: Path) -> None:
    """--sticky. Requests and WebSockets of one browser, among three workers; others go where there is free capacity."""
    (project / "remembering.py").write_text(REMEMBERING)
    values = {"sticky": "cookie", "workers": "3", "interfaces": "2"}
    with towpath_serve("remembering", run_dir=tmp_path, cwd=project, options=as_options(values)) as server:
        for _ in range(4):
            with client_of(server) as browser:
                pids = {browser.get("/").text for _ in range(8)}
                assert len(pids) == 1
                cookie = f"towpath-worker={browser.cookies['towpath-worker']}"
            with connect(server.websocket_url, additional_headers={"Cookie": cookie}, proxy=None) as socket:
                assert {socket.recv(timeout=15)} == pids


def test_a_response_that_does_not_begin_in_time_is_504(tmp_path: Path, project: Path) -> None:
    """--response-timeout: for requests of the shared channel, as in the first seconds, and for those that are sent to a worker directly."""
    options = as_options({"response-timeout": "0.5"})
    with towpath_serve("small", run_dir=tmp_path, cwd=project, options=options) as server, client_of(server) as client:
        assert client.get("/held").status_code == 504
        wait_until((project / "asked").exists, "asked")
        wait_until(lambda: any(lease.get("inviting_workers") for lease in leases(server)), "a worker invites")
        answers = [client.get("/held"), client.post("/held")]
        assert [answer.status_code for answer in answers] == [504, 504]
        wait_until(lambda: any(lease.get("direct_total") for lease in leases(server)), "they were sent directly")
        (project / "go on").touch()
        assert client.get("/held").status_code == 200


def test_what_cannot_be_found_out_is_said(tmp_path: Path, project: Path) -> None:
    """--interface: a WSGI application that takes three arguments; --root-path is its SCRIPT_NAME."""
    with towpath(tmp_path, project, "small:wsgi", {"interface": "wsgi", "root-path": "/api/"}) as client:
        assert client.get("/where").text == "/api /where"


def test_a_loop_that_can_be_patched_is_asyncios_own(tmp_path: Path, project: Path) -> None:
    """--loop asyncio. It hears signals as uvloop does, also after the application has ended it once."""
    (project / "nesting.py").write_text(NESTING)
    options = as_options({"loop": "asyncio"})
    with (
        towpath_serve("nesting", run_dir=tmp_path, cwd=project, options=options) as server,
        client_of(server) as client,
    ):
        assert client.get("/").text == "nested"
        client.get("/exit")
        server.wait_for_log("the application ended the event loop")
        assert client.get("/").text == "nested"
    assert "asked to shut down" in server.log


def test_who_takes_warnings_for_errors_is_served(tmp_path: Path, project: Path) -> None:
    """PYTHONWARNINGS=error is for the application's code; supervisord has some of its own, and would answer no call."""
    with (
        towpath_serve("small", run_dir=tmp_path, cwd=project, env={"PYTHONWARNINGS": "error"}) as server,
        client_of(server) as client,
    ):
        assert client.get("/where").status_code == 200
        assert "Warning" not in server.log
