"""P9: a password of Redis that is rotated is taken up from the file that holds the URL, and nothing is restarted."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.sync.client import connect

import channel_layer
from channel_layer.errors import LayerUnavailable
from tests.promises.asking import BACK_S, Asking, echo, flows_again
from tests.promises.conftest import PROJECT, Traces
from tests.promises.fleet import leases, towpath
from tests.support.facts import until_async
from tests.support.redis_server import RedisServer
from tests.support.serving import BIN, Server, environment, free_port, processes_of, towpath_serve, wait_until

USER, PASSWORDS = "bargee", ("first-secret", "second-secret", "third-secret")
WHY = "refuses us: the user name or the password is wrong (WRONGPASS"


class Rotation:
    """A user of one Redis, whose password is in a file as Kubernetes mounts it: behind a folder that is a link."""

    def __init__(self, redis: RedisServer, folder: Path) -> None:
        self.redis = redis
        self.file = folder / "url"
        self._folder = folder
        folder.mkdir()
        self.file.symlink_to(Path("..data") / "url")

    def demand(self, password: str) -> None:
        """Redis accepts no other password from now on, for new connections."""
        with self.redis.client() as client:
            client.execute_command("ACL", "SETUSER", USER, "reset", "on", f">{password}", "~*", "&*", "+@all")

    def mount(self, password: str) -> None:
        """The file has this password from now on."""
        version = self._folder / password
        version.mkdir()
        (version / "url").write_text(f"unix://{USER}:{password}@{self.redis.socket}\n")
        draft = self._folder / "..draft"
        draft.symlink_to(version.name)
        draft.rename(self._folder / "..data")

    def connections(self) -> int:
        """How many connections the user has."""
        with self.redis.client() as client:
            return sum(each["user"] == USER for each in client.client_list())

    def kill_connections(self) -> int:
        """End all of them, as a server does that demands the new password of everybody."""
        with self.redis.client() as client:
            return int(client.execute_command("CLIENT", "KILL", "USER", USER))


@pytest.fixture
def rotation(own_redis: RedisServer, tmp_path: Path) -> Iterator[Rotation]:
    rotation = Rotation(own_redis, tmp_path / "secret")
    rotation.demand(PASSWORDS[0])
    rotation.mount(PASSWORDS[0])
    yield rotation


def test_a_rotated_password_is_taken_up_and_nothing_is_restarted(
    rotation: Rotation, traces: Traces, tmp_path: Path
) -> None:
    """P9. What is connected stays connected; what has to connect again does so with the new password, however late that comes."""
    variables = {**traces.env, "TOWPATH_REDIS_URL_FILE": str(rotation.file)}
    with towpath_serve(
        "witness", run_dir=tmp_path, app_dir=PROJECT, env=variables, options=("--workers", "2")
    ) as server:
        began, connections = pids(server), rotation.connections()
        with connect(f"{server.websocket_url}/survivor") as socket, Asking(server) as asking:
            echo(socket, "before")
            rotation.demand(PASSWORDS[1])
            rotation.mount(PASSWORDS[1])
            rotated = time.monotonic()
            wait_until(lambda: len(asking.after(rotated)) > 100, "requests are answered under the new password")
            assert {status for _, status in asking.answers} == {200}  # nothing had to connect, so nothing was lost

            assert rotation.kill_connections() >= connections
            assert flows_again(server) < BACK_S
            echo(socket, "after")
            wait_until(lambda: rotation.connections() >= connections, "all are connected again")
            assert WHY not in server.log

            rotation.demand(PASSWORDS[2])
            rotation.kill_connections()
            server.wait_for_log(WHY)
            lease = re.compile(rf"the lease could not be renewed: Redis at .* {re.escape(WHY)}")
            wait_until(lambda: lease.search(server.log) is not None, "the lease's thread gives the same reason")
            rotation.mount(PASSWORDS[2])
            mounted = time.monotonic()
            assert flows_again(server) < 2 * BACK_S
            echo(socket, "at last")
            wait_until(lambda: 200 in asking.after(mounted), "who has asked all the while is answered")
        assert not asking.faults and {status for _, status in asking.answers} <= {200, 502, 503}
        wait_until(lambda: rotation.connections() >= connections, "all are connected again")
        assert pids(server) == began
        shown = towpath(server, "status")
        assert shown.returncode == 0 and "worker" in shown.stdout
        assert towpath(server, "reload").returncode == 0
        assert flows_again(server) < BACK_S
        for password in PASSWORDS:
            assert password not in everything_visible(server) + shown.stdout + shown.stderr


async def test_layers_of_other_processes_take_it_up_too(rotation: Rotation, monkeypatch: pytest.MonkeyPatch) -> None:
    """P9. A view under another server, a task, a script: with an event loop and without one, by a URL and by the environment."""
    monkeypatch.delenv("TOWPATH_REDIS", raising=False)
    monkeypatch.setenv("TOWPATH_REDIS_FILE", str(rotation.file))
    channel_layer.set_channel_layer(None)
    blocking = channel_layer.connect_blocking(rotation.file.as_uri())
    layer = channel_layer.get_channel_layer()
    note = {"type": "note"}

    async def both_send() -> bool:
        try:
            await layer.send("work", note)
            await asyncio.to_thread(blocking.send, "work", note)
        except LayerUnavailable:
            return False
        return True

    async def all_connected() -> bool:
        return await asyncio.to_thread(rotation.connections) >= connections

    try:
        await until_async(both_send)
        connections = rotation.connections()
        assert connections >= 5  # commands, inbox, groups and lease of the layer, and one of the blocking client
        for password in PASSWORDS[1:]:
            rotation.demand(password)
            rotation.mount(password)
            await until_async(all_connected, "each connection that a kill has ended is there again")
            assert rotation.kill_connections() >= connections
            await until_async(both_send)
            assert await layer.receive("work") == await layer.receive("work") == note
    finally:
        await layer.close()
        await asyncio.to_thread(blocking.close)
        channel_layer.set_channel_layer(None)


def pids(server: Server) -> list[int]:
    return sorted(lease["pid"] for lease in leases(server))


def everything_visible(server: Server) -> str:
    """The log, the command lines and environments of all processes, and what `serve` publishes for `status`."""
    proc = [Path(f"/proc/{pid}/{file}") for pid in processes_of(server.process.pid) for file in ("cmdline", "environ")]
    return "\n".join(
        [server.log, *(path.read_text(errors="replace") for path in (*proc, server.run_dir / "run" / "facts.json"))]
    )


@pytest.mark.parametrize("command", ["serve", "interface", "worker", "status"])
@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "cannot be read: No such file or directory"),
        ("\n", "is empty; it must hold the URL of Redis"),
        ("hunter2\n", "holds no Redis URL: one line that begins with redis://"),
    ],
)
def test_a_file_of_no_use_ends_a_start_with_one_sentence(
    tmp_path: Path, short_path: Path, command: str, content: str | None, why: str
) -> None:
    """P12. It names the file, and does not show what is in it: that may be a password alone."""
    file = tmp_path / "url"
    if content is not None:
        file.write_text(content)
    words = [command, *(("witness", "--app-dir", str(PROJECT)) if command in ("serve", "worker") else ())]
    words += ["--port", str(free_port())] if command in ("serve", "interface") else []
    ended = subprocess.run(
        [BIN / "towpath", *words, "--redis-url-file", "url"],
        env={**environment({}), "XDG_RUNTIME_DIR": os.fspath(short_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=40,
    )
    (sentence,) = (ended.stdout + ended.stderr).splitlines()
    assert ended.returncode == 3
    assert f"{file} {why}" in sentence and "hunter2" not in sentence
