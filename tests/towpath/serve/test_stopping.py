"""While `serve` stops: running exchanges are finished, and new clients are refused."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.facts import wait_until
from tests.support.serving import (
    BIN,
    Server,
    all_stand,
    environment,
    processes_of,
    redis_server,
    redis_url,
    running,
    towpath_interface,
    towpath_serve,
    towpath_worker,
)
from towpath.runtime import embedded_redis
from towpath.status.redis_status import RedisStatus

APP = """
import asyncio, pathlib
async def application(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    here = pathlib.Path(__file__).parent
    (here / "asked").touch()
    while scope["path"] == "/slow" and not (here / "go on").exists():
        await asyncio.sleep(0.02)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
"""


@contextlib.contextmanager
def slow_request(server: Server, project: Path) -> Iterator[socket.socket]:
    """A client that the application keeps waiting; afterwards it goes on, and the answer is whole."""
    with server.connect() as client:
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        wait_until((project / "asked").exists, "asked")
        yield client
        (project / "go on").touch()
        answer = b"".join(iter(lambda: client.recv(4096), b""))
        assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"ok"), server.log


def is_refused(server: Server) -> bool:
    """True if a new client is refused at once. One that is left waiting is not."""
    try:
        with server.connect(timeout_s=5.0) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            return client.recv(16) == b""
    except (ConnectionRefusedError, ConnectionResetError, BrokenPipeError):
        return True
    except TimeoutError:
        return False


def waits_for_a_worker(run_dir: Path) -> bool:
    """True if a connection does."""
    status = RedisStatus(embedded_redis.url(run_dir), "towpath:")
    try:
        return any(process.get("queued") for process in status.read().processes)
    finally:
        status.close()


@pytest.mark.parametrize(("host", "told"), [("127.0.0.1", "all"), ("::1", "serve")])
def test_who_comes_while_serve_stops_is_refused_and_who_was_there_is_served(
    tmp_path: Path, project: Path, host: str, told: str
) -> None:
    """P7, P12. supervisord has the listening socket open until all have left; without a word to the kernel clients would hang.

    systemd tells all processes at once: then workers and the embedded server go on until the last client is served, also one that
    still waits for a worker, and it is no second signal when supervisord tells them too.
    """
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        port = probe.getsockname()[1]
    command = [BIN / "towpath", "serve", "small", "--host", host, "--port", str(port), "--app-dir", project]
    options = ["--interfaces", "2", "--worker-concurrency", "1", "--run-dir", tmp_path / "run"]

    with running("serve", [*command, *options], run_dir=tmp_path, port=port, ready=all_stand) as at_default_host:
        server = Server("serve", at_default_host.process, at_default_host.log_path, tmp_path, host, port)
        with server.connect() as waiting, slow_request(server, project):
            waiting.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            wait_until(lambda: waits_for_a_worker(tmp_path / "run"), "queued")
            for pid in processes_of(server.process.pid) if told == "all" else [server.process.pid]:
                os.kill(pid, signal.SIGTERM)
            server.wait_for_log("once more to stop at once")
            wait_until(lambda: is_refused(server), "refused")
            assert is_refused(server)
            assert server.process.poll() is None
            (project / "go on").touch()
            assert waiting.recv(16).startswith(b"HTTP/1.1 200"), server.log
        assert server.process.wait(20) == 0


def test_one_interface_server_that_leaves_refuses_nobody(tmp_path: Path, project: Path) -> None:
    """The others have the same listening socket."""
    with towpath_serve("small", run_dir=tmp_path, app_dir=project, options=["--interfaces", "2"]) as server:
        words = ["scale", "interface=1", "--run-dir", tmp_path / "run"]
        assert subprocess.run([BIN / "towpath", *words], env=environment({}), timeout=30).returncode == 0
        assert not is_refused(server)


def test_a_listening_socket_that_somebody_brought_is_left_as_it_was(tmp_path: Path, project: Path) -> None:
    """`--fd`: clients wait in the backlog for the server that listens there next."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        command = [BIN / "towpath", "serve", "small", "--fd", str(listener.fileno()), "--app-dir", project]
        with (tmp_path / "serve.log").open("wb") as log:
            process = subprocess.Popen(
                [*command, "--run-dir", tmp_path / "run"],
                env=environment({}), stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[listener.fileno()],
            )  # fmt: skip
        server = Server("serve", process, tmp_path / "serve.log", tmp_path, port=port)
        try:
            server.wait_for_log("ready after")
            process.terminate()
            assert process.wait(20) == 0, server.log
            with server.connect() as client:
                taken, _ = listener.accept()
                taken.sendall(b"next")
                assert client.recv(4) == b"next"
                taken.close()
        finally:
            process.kill()
            process.wait()


def test_sighup_ends_a_worker_and_an_interface_server_in_good_order(tmp_path: Path, project: Path) -> None:
    """The terminal has gone, or their supervisor is to start new ones: running exchanges are finished first."""
    with (
        redis_server(tmp_path / "redis") as redis,
        towpath_interface(redis_url(redis), run_dir=tmp_path) as interface,
        towpath_worker("small", redis_url(redis), run_dir=tmp_path, app_dir=project) as worker,
    ):
        with slow_request(interface, project):
            worker.process.send_signal(signal.SIGHUP)
            interface.process.send_signal(signal.SIGHUP)
        assert [server.process.wait(20) for server in (worker, interface)] == [0, 0]
