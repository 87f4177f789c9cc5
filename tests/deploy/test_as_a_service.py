"""Processes under a service manager such as systemd: it learns when they serve, and gives them the socket to listen on."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support import as_systemd
from tests.support.notify_socket import NotifySocket, notify_socket
from tests.support.plain_http import PLAIN
from tests.support.redis_server import RedisServer
from tests.support.serving import (
    BIN,
    GRACE,
    Server,
    environment,
    running,
    towpath_interface,
    towpath_worker,
    wait_until,
)

#: Its startup leaves the file `began`, and ends when there is the file `go`. A page shows what the environment has of a service manager.
APP = """
import asyncio, os, pathlib

async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] == "lifespan.startup":
            pathlib.Path(__file__).with_name("began").touch()
            while not pathlib.Path(__file__).with_name("go").exists():
                await asyncio.sleep(0.01)
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    text = " ".join(sorted(name for name in os.environ if name.startswith(("NOTIFY_", "LISTEN_"))))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": text.encode()})
"""


@pytest.fixture
def told(tmp_path: Path) -> Iterator[NotifySocket]:
    with notify_socket(tmp_path) as it:
        yield it


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "small.py").write_text(APP)
    return folder


@contextmanager
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as it:
        yield it


def passed(listener: socket.socket, *words: str | Path) -> list[str | Path]:
    """The command, with the socket passed to it."""
    return [sys.executable, as_systemd.__file__, str(listener.fileno()), *words]


@contextmanager
def started(
    kind: str, listener: socket.socket, words: Sequence[str | Path], run_dir: Path, told: NotifySocket
) -> Iterator[Server]:
    """A process that listens on the socket that was passed to it; ready when it says so."""
    command = passed(listener, BIN / "towpath", *words, *GRACE)
    port = listener.getsockname()[1]
    variables = {"NOTIFY_SOCKET": told.address}
    with running(
        kind, command, run_dir=run_dir, port=port, env=variables, pass_fds=[listener.fileno()], ready=lambda _: True
    ) as server:
        assert told.next() == "READY=1", server.log
        yield server


def test_a_worker_is_ready_when_its_application_has_started(
    redis_server: RedisServer, tmp_path: Path, project: Path, told: NotifySocket
) -> None:
    """Not before, so that the next one is restarted only when this one takes requests."""
    variables = {"NOTIFY_SOCKET": told.address}
    with towpath_worker("small", redis_server.url, run_dir=tmp_path, app_dir=project, env=variables) as worker:
        wait_until(lambda: (project / "began").exists(), "the startup has begun", server=worker)
        assert told.waiting() is None
        (project / "go").touch()
        assert told.next() == "READY=1"
        assert "takes connections" in worker.log
    assert told.next() == "STOPPING=1"
    assert told.waiting() is None


def test_an_interface_server_is_ready_when_it_listens(
    redis_server: RedisServer, tmp_path: Path, told: NotifySocket
) -> None:
    """A proxy that comes then finds it."""
    with towpath_interface(
        redis_server.url, run_dir=tmp_path, env={"NOTIFY_SOCKET": told.address}, ready=lambda _: True
    ) as server:
        assert told.next() == "READY=1"
        assert httpx.get(f"{server.url}/-/health/ready", **PLAIN).status_code == 200
        assert told.waiting() is None
    assert told.next() == "STOPPING=1"


def test_a_serve_is_ready_when_all_its_processes_are_and_tells_of_reloads(
    tmp_path: Path, project: Path, told: NotifySocket
) -> None:
    """`Type=notify-reload` waits for both messages. Of the processes of a `serve` the service manager hears nothing."""
    (project / "go").touch()
    with listening() as listener:
        words: list[str | Path] = ["serve", "small", "--app-dir", project, "--run-dir", tmp_path / "run"]
        with started("serve", listener, words, tmp_path, told) as server:
            assert "ready after" in server.log and f"Towpath serves small at {server.url}/" in server.log
            assert httpx.get(server.url, **PLAIN).text == ""  # the application sees nothing of systemd
            by_port = [BIN / "towpath", "status", "--json", "--port", str(server.port)]
            found = json.loads(subprocess.check_output(by_port, env=environment({})))
            assert len(found["processes"]) > 1, "it is found by the port of its socket"
            server.process.send_signal(signal.SIGHUP)
            assert told.next().startswith("RELOADING=1\nMONOTONIC_USEC=")
            assert told.next() == "READY=1"
            assert httpx.get(server.url, **PLAIN).text == ""
            reload: list[str | Path] = [BIN / "towpath", "reload", "--run-dir", tmp_path / "run"]
            assert subprocess.run(reload, env=environment({}), timeout=60, check=False).returncode == 0
            assert told.next().startswith("RELOADING=1\n")
            assert told.next() == "READY=1"
            (project / "small.py").write_text("broken(")
            server.process.send_signal(signal.SIGHUP)
            assert told.next().startswith("RELOADING=1\n")
            assert told.next() == "READY=1"  # it goes on with the old code
            assert told.waiting() is None
        assert told.next() == "STOPPING=1"
        assert told.waiting() is None


def test_no_client_is_refused_while_an_interface_server_is_restarted_on_a_passed_socket(
    redis_server: RedisServer, tmp_path: Path, project: Path, told: NotifySocket
) -> None:
    """systemd keeps the socket: a client that connects in between waits, and is served by the next one."""
    (project / "go").touch()
    with (
        towpath_worker("small", redis_server.url, run_dir=tmp_path / "worker", app_dir=project),
        listening() as listener,
    ):
        words = ["interface", "--redis", redis_server.url]
        with started("interface", listener, words, tmp_path / "first", told) as server:
            assert httpx.get(server.url, **PLAIN).status_code == 200
        assert told.next() == "STOPPING=1"
        with socket.create_connection(listener.getsockname(), timeout=60) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            with started("interface", listener, words, tmp_path / "second", told):
                assert client.recv(64).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("command", ["interface", "serve"])
def test_an_address_beside_a_passed_socket_is_one_sentence(tmp_path: Path, project: Path, command: str) -> None:
    """P12. Also one from the environment: a file of variables may be shared by all services."""
    app: list[str | Path] = ["small", "--app-dir", project, "--run-dir", tmp_path / "run"] if command == "serve" else []
    with listening() as listener:
        ended = subprocess.run(
            passed(listener, BIN / "towpath", command, *app),
            env=environment({"TOWPATH_PORT": "8000"}),
            pass_fds=[listener.fileno()],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (
        3,
        "towpath: systemd passes a socket to listen on, and --port is given too; leave one of them out (from TOWPATH_PORT)\n",
    )
