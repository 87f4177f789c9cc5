"""Programs without an event loop send to real WebSockets: views under gunicorn, a Celery task, a Django command, a script.

Each of them is started as its users start it, in processes of its own, beside a `towpath serve` on the same Redis.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from celery import Celery
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

import channel_layer
from channel_layer.errors import ChannelGone
from tests.support.facts import wait_until
from tests.support.plain_http import PLAIN
from tests.support.redis_server import RedisServer
from tests.support.serving import BIN, Server, free_port, running, towpath_serve

PROJECT = Path(__file__).parent / "blocking_project"
CLIENTS = 16


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    server = RedisServer().start()
    yield server
    server.remove()


@pytest.fixture(scope="module")
def env(redis: RedisServer) -> dict[str, str]:
    """Of every program here."""
    return {"TOWPATH_REDIS": redis.url, "BROKER": broker(redis), "PYTHONPATH": str(PROJECT)}


@pytest.fixture(scope="module")
def sockets(env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The deployment that holds the WebSockets."""
    with towpath_serve("sockets", run_dir=tmp_path_factory.mktemp("serve"), app_dir=PROJECT, env=env) as server:
        yield server


def broker(redis: RedisServer) -> str:
    return f"redis+socket://{redis.socket}?virtual_host=1"


class Client:
    """A WebSocket, and the name of its reply channel."""

    def __init__(self, server: Server, stack: contextlib.ExitStack) -> None:
        self.socket = stack.enter_context(connect(f"{server.websocket_url}/"))
        self.channel = str(self.socket.recv(timeout=30))

    def expect(self, text: str) -> None:
        assert [self.socket.recv(timeout=30) for _ in range(2)] == [f"{text} (channel)", f"{text} (group)"]


@pytest.fixture
def client(sockets: Server) -> Iterator[Client]:
    with contextlib.ExitStack() as stack:
        yield Client(sockets, stack)


def gunicorn(app: str, run_dir: Path, env: dict[str, str]) -> contextlib.AbstractContextManager[Server]:
    """Two processes of four threads, forked after the application was loaded and had connected to Redis."""
    port = free_port()
    options = ("--preload", "--workers", "2", "--threads", "4", "--worker-tmp-dir", run_dir)
    command = [BIN / "gunicorn", app, "--bind", f"127.0.0.1:{port}", *options]
    return running("gunicorn", command, run_dir=run_dir, cwd=PROJECT, env=env, port=port, ready=accepts)


def accepts(server: Server) -> bool:
    with contextlib.suppress(OSError), server.connect():
        return True
    return False


@pytest.mark.parametrize("app", ["flask_site:app", "django_site:application()"])
def test_views_under_gunicorn_send_to_clients(app: str, sockets: Server, env: dict[str, str], tmp_path: Path) -> None:
    """Sixteen requests at once, in processes that share nothing but what they have inherited: each client gets its own two."""
    with (
        gunicorn(app, tmp_path, {**env, "DJANGO_SETTINGS_MODULE": "django_site"}) as site,
        httpx.Client(base_url=site.url, timeout=30, **PLAIN) as http,
    ):

        def ask(number: int) -> None:
            with contextlib.ExitStack() as stack:
                client = Client(sockets, stack)
                for turn in range(3):
                    text = f"{number} {turn}"
                    answer = http.post("/notify", data={"channel": client.channel, "text": text})
                    assert answer.text == "done"
                    received = [client.socket.recv(timeout=30)]
                    while f"{text} (group)" not in received:  # the group has other members at that moment
                        received.append(client.socket.recv(timeout=30))
                    assert received.count(f"{text} (channel)") == received.count(f"{text} (group)") == 1

        with ThreadPoolExecutor(CLIENTS) as threads:
            list(threads.map(ask, range(CLIENTS)))


def test_a_view_in_a_thread_of_a_worker_sends_to_a_client(client: Client, env: dict[str, str], tmp_path: Path) -> None:
    """The same view, served by Towpath: under another prefix than the sockets, so that it is another deployment."""
    serving = {**env, "TOWPATH_PREFIX": "views:"}
    with towpath_serve("flask_site:app", run_dir=tmp_path, app_dir=PROJECT, env=serving) as site:
        form = {"channel": client.channel, "text": "by a worker"}
        assert httpx.post(f"{site.url}/notify", data=form, timeout=30, **PLAIN).text == "done"
    client.expect("by a worker")


def test_a_celery_task_sends_to_a_client(
    sockets: Server, client: Client, redis: RedisServer, env: dict[str, str], tmp_path: Path
) -> None:
    """A worker that forks its processes, with Redis as its broker."""
    command = [BIN / "celery", "-A", "tasks", "worker", "--concurrency", "2", "--loglevel", "info", "--without-gossip"]
    with running(
        "celery", command, run_dir=tmp_path, cwd=PROJECT, env=env, ready=lambda server: " ready." in server.log
    ):
        with Celery(broker=broker(redis)) as app:
            for text in ("one", "two", "three", "four"):
                app.send_task("tasks.notify_client", args=(client.channel, text))
                client.expect(text)


def test_a_django_command_sends_to_a_client(client: Client, env: dict[str, str]) -> None:
    """`manage.py notify CHANNEL TEXT`, from cron or by hand."""
    environment = {**env, "DJANGO_SETTINGS_MODULE": "django_site", "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-m", "django", "notify", client.channel, "by command"]
    subprocess.run(command, env=environment, check=True, timeout=60)
    client.expect("by command")


def test_a_script_sends_to_a_client(client: Client, redis: RedisServer) -> None:
    """It knows the URL, and nothing else."""
    command = [sys.executable, PROJECT / "script.py", redis.url, client.channel, "by script"]
    subprocess.run(command, check=True, timeout=60)
    client.expect("by script")


def test_memberships_follow_calls_of_other_processes(sockets: Server, redis: RedisServer) -> None:
    """P10. What is sent after `group_add` has returned arrives, and what is sent after `group_discard` does not."""
    with contextlib.ExitStack() as stack:
        layer = stack.enter_context(channel_layer.connect_blocking(redis.url))
        inside, left = Client(sockets, stack), Client(sockets, stack)
        for each in (left, inside):
            layer.group_add("locks", each.channel)
        layer.group_discard("locks", left.channel)
        layer.group_send("locks", {"type": "websocket.send", "text": "opens"})
        assert inside.socket.recv(timeout=30) == "opens"
        layer.send(left.channel, {"type": "websocket.send", "text": "end"})
        assert left.socket.recv(timeout=30) == "end"
        with redis.client() as look:
            wait_until(lambda: not look.keys("towpath:inbox:blocking.*"), "no inbox is left behind")


def test_a_close_that_was_delivered_is_confirmed(client: Client, redis: RedisServer) -> None:
    """It ends the connection at once, for which a second one comes too late."""
    close = {"type": "websocket.close", "code": 4001}
    with channel_layer.connect_blocking(redis.url) as layer:
        layer.send(client.channel, close, confirm=True)
        with pytest.raises(ConnectionClosed) as end:
            client.socket.recv(timeout=30)
        assert end.value.rcvd is not None and end.value.rcvd.code == 4001
        with pytest.raises(ChannelGone):
            layer.send(client.channel, close, confirm=True)


def test_a_client_of_a_server_that_has_ended_is_gone(redis: RedisServer, env: dict[str, str], tmp_path: Path) -> None:
    """A name that was stored yesterday."""
    with (
        towpath_serve("sockets", run_dir=tmp_path, app_dir=PROJECT, env={**env, "TOWPATH_PREFIX": "other:"}) as server,
        contextlib.ExitStack() as stack,
    ):
        channel = Client(server, stack).channel
    with channel_layer.connect_blocking(redis.url, prefix="other:") as layer:
        with pytest.raises(ChannelGone):
            layer.send(channel, {"type": "websocket.send", "text": "hello"})
        layer.group_add("boats", channel)
