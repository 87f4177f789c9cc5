"""Django Channels, unmodified, with Towpath's channel layer: under Towpath itself, and under the servers that people have."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from tests.applications.served import PROJECTS
from tests.support.plain_http import PLAIN
from tests.support.redis_server import RedisServer
from tests.support.serving import BIN, Server, environment, free_port, running, towpath_serve, uvicorn, wait_until

SITE = PROJECTS / "channels_site"
DEADLINE_S = 20.0
#: Longer than the 5 s after which a consumer over channels_redis 4.3 with redis-py 8 ends by itself.
QUIET_S = 6.0
PREFIX = "desks:"


@pytest.fixture(scope="module")
def config(redis_server: RedisServer) -> dict[str, str]:
    """The layer as processes configure it that Towpath does not serve."""
    return {"SITE_CONFIG": json.dumps({"hosts": [redis_server.url], "prefix": PREFIX})}


@pytest.fixture(scope="module", params=["towpath", "uvicorn", "daphne", "runserver"])
def server(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    redis_server: RedisServer,
    config: dict[str, str],
) -> Iterator[Server]:
    """Under Towpath two workers, and no CONFIG at all: each takes the layer of its worker."""
    folder = tmp_path_factory.mktemp(f"channels-{request.param}")
    if request.param == "towpath":
        options = ("--workers", "2", "--redis", redis_server.url, "--prefix", PREFIX)
        start = towpath_serve("asgi:application", run_dir=folder, cwd=SITE, options=options)
    elif request.param == "uvicorn":
        start = uvicorn("asgi:application", run_dir=folder, cwd=SITE, env=config)
    else:
        start = daphne(request.param, folder, config)
    with start as server:
        yield server
        if request.param in ("daphne", "runserver"):
            wait_until(lambda: no_consumer_runs(server), "the last consumers have ended", server=server)


def no_consumer_runs(server: Server) -> bool:
    """A fact to wait for before Daphne is stopped.

    Whichever layer it uses, Daphne never exits if its loop stops while a sync consumer calls the layer: the thread of
    the consumer waits for that loop. A client sees its socket closed before the consumer's `disconnect` has ended.
    """
    return httpx.get(f"{server.url}/consumers/", timeout=DEADLINE_S, **PLAIN).json() == {"running": 0}


def daphne(kind: str, folder: Path, env: dict[str, str]) -> contextlib.AbstractContextManager[Server]:
    """Daphne by its command, or by Django's `runserver`, with the reloader around it."""
    port = free_port()
    command = [BIN / "daphne", "-b", "127.0.0.1", "-p", str(port), "asgi:application"]
    if kind == "runserver":
        command = [sys.executable, "manage.py", "runserver", f"127.0.0.1:{port}"]
    ended = (0, -signal.SIGTERM)
    return running(kind, command, run_dir=folder, cwd=SITE, env=env, port=port, ready=accepts, exit_codes=ended)


def accepts(server: Server) -> bool:
    with contextlib.suppress(OSError), server.connect(timeout_s=2.0):
        return True
    return False


class Desk:
    """One client of a consumer: the name of its channel, and its lines."""

    def __init__(self, socket: ClientConnection, kind: str) -> None:
        self._socket, self._json = socket, kind == "json"
        self.channel = self.line()

    def line(self, timeout_s: float = DEADLINE_S) -> Any:
        received = self._socket.recv(timeout=timeout_s)
        return json.loads(received) if self._json else received

    def say(self, text: str | bytes) -> None:
        self._socket.send(json.dumps(text) if self._json else text)

    def is_quiet_for(self, seconds: float) -> bool:
        """True if nothing arrives, not even the end of the connection."""
        with contextlib.suppress(TimeoutError):
            return self.line(seconds) is None
        return True


@contextlib.contextmanager
def desk(server: Server, kind: str, name: str) -> Iterator[Desk]:
    with connect(f"{server.websocket_url}/{kind}/{name}/", open_timeout=DEADLINE_S, proxy=None) as socket:
        yield Desk(socket, kind)


def manage(config: dict[str, str], *words: str) -> None:
    """A management command, as cron starts it."""
    env = environment(config)
    subprocess.run([sys.executable, "manage.py", *words], cwd=SITE, env=env, check=True, timeout=60)


def test_consumers_of_one_group_hear_each_other(server: Server) -> None:
    """Sync and async ones, whichever worker has them; texts and bytes; each once and in order."""
    with contextlib.ExitStack() as stack:
        desks = [stack.enter_context(desk(server, kind, "lock")) for kind in ("sync", "json") * 3]
        assert len({each.channel for each in desks}) == len(desks)
        lines = [f"line {number}" for number in range(30)]
        for line in lines:
            desks[0].say(line)
        for each in desks:
            assert [each.line() for _ in lines] == lines
        desks[1].say("from the other kind")
        assert {each.line() for each in desks} == {"from the other kind"}


def test_a_worker_has_one_set_of_connections_for_itself_and_for_consumers(server: Server) -> None:
    """Elsewhere the layer of the process is a node of its own; a channel's name begins with the node."""
    with desk(server, "sync", "node") as one:
        assert one.channel.startswith("worker." if server.kind == "serve" else "layer.")


def test_a_group_hears_nothing_of_another(server: Server) -> None:
    with desk(server, "sync", "east") as east, desk(server, "json", "west") as west:
        east.say("for the east")
        west.say("for the west")
        assert (east.line(), west.line()) == ("for the east", "for the west")
        east.say(b"\x00\xff")
        assert east.line() == b"\x00\xff"


def test_who_has_left_a_group_costs_nothing(server: Server) -> None:
    """A consumer ends with its socket, and with it its membership; the others hear the next line."""
    with desk(server, "sync", "ferry") as stays:
        with desk(server, "sync", "ferry") as leaves:
            leaves.say("both")
            assert (stays.line(), leaves.line()) == ("both", "both")
        for number in range(5):
            stays.say(f"alone {number}")
            assert stays.line() == f"alone {number}"


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("call", ["send", "group_send"])
def test_a_view_sends(server: Server, client: httpx.Client, kind: str, call: str) -> None:
    """To one consumer by the name of its channel, and to a group."""
    with desk(server, "sync", "view") as one, desk(server, "json", "view") as other:
        to = one.channel if call == "send" else "view"
        answer = client.get(f"/{kind}/{call}/", params={"to": to, "text": "by a view"})
        assert answer.status_code == 200
        assert one.line() == "by a view"
        if call == "group_send":
            assert other.line() == "by a view"
        other.say("and nothing before this")
        assert other.line() == "and nothing before this"


def test_a_management_command_sends(server: Server, config: dict[str, str]) -> None:
    """A process that Towpath has not started, and that ends as soon as it has sent."""
    with desk(server, "json", "cron") as one, desk(server, "sync", "cron") as other:
        manage(config, "note", "send", one.channel, "to one")
        assert one.line() == "to one"
        manage(config, "note", "group_send", "cron", "to all")
        assert (one.line(), other.line()) == ("to all", "to all")
        manage(config, "note", "group_send", "everyone", "by the groups of the class")
        assert one.line() == "by the groups of the class"


def test_a_worker_of_channels_takes_what_a_view_sends(
    server: Server, client: httpx.Client, config: dict[str, str], tmp_path: Path
) -> None:
    """`manage.py runworker` reads a channel by its name, and answers to a consumer."""
    command = [sys.executable, "manage.py", "runworker", "errands"]
    ended = (0, -signal.SIGTERM)
    with (
        desk(server, "sync", "errands") as asks,
        running("runworker", command, run_dir=tmp_path, cwd=SITE, env=config, ready=lambda _: True, exit_codes=ended),
    ):
        for number in range(3):
            words = {"to": "errands", "text": f"errand {number}", "type": "run", "answer_to": asks.channel}
            assert client.get("/sync/send/", params=words).status_code == 200
        assert [asks.line() for _ in range(3)] == [f"done: errand {number}" for number in range(3)]


def test_a_consumer_that_hears_nothing_is_not_ended(server: Server, client: httpx.Client) -> None:
    """Silence is the ordinary state of a consumer."""
    with desk(server, "sync", "quiet") as one, desk(server, "json", "quiet") as other:
        assert one.is_quiet_for(QUIET_S)
        client.get("/sync/group_send/", params={"to": "quiet", "text": "still here?"})
        assert (one.line(), other.line()) == ("still here?", "still here?")
