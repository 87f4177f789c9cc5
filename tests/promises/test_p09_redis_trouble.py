"""P9: whatever befalls Redis, no process has to be restarted, no connection hangs, and all goes on soon after."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from redis import Redis
from redis.exceptions import RedisError
from websockets.sync.client import connect

from tests.promises.asking import BACK_S, Asking, echo, flows_again
from tests.promises.conftest import PROJECT
from tests.promises.fleet import leases_at
from tests.support.plain_http import PLAIN
from tests.support.redis_server import RedisServer
from tests.support.serving import Server, towpath_interface, towpath_worker, wait_until
from tests.support.swallowing_proxy import SwallowingProxy

TROUBLE_S = 3.0
DEBUG = ("--enable-debug-command", "yes")


@dataclass
class Fleet:
    """One interface server, one worker, and the Redis between them."""

    redis: RedisServer
    interface: Server
    worker: Server


@contextlib.contextmanager
def fleet_on(redis: RedisServer, url: str, folder: Path, *options: str) -> Iterator[Fleet]:
    (folder / "traces").mkdir(parents=True)
    env = {"TRACES": str(folder / "traces")}
    with (
        towpath_interface(url, run_dir=folder / "interface", options=options) as interface,
        towpath_worker("witness", url, run_dir=folder / "worker", app_dir=PROJECT, env=env) as worker,
    ):
        yield Fleet(redis, interface, worker)
        assert interface.process.poll() is None and worker.process.poll() is None


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The same processes for all that befalls their Redis: none of them is ever started again."""
    redis = RedisServer(arguments=DEBUG).start()
    try:
        with fleet_on(redis, redis.url, tmp_path_factory.mktemp("trouble")) as fleet:
            yield fleet
    finally:
        redis.remove()


def pause() -> None:
    """The time that a trouble takes: it is the trouble itself, not a wait for anything."""
    threading.Event().wait(TROUBLE_S)


def killed_commands(redis: RedisServer, client: Redis) -> None:
    client.execute_command("CLIENT", "KILL", "TYPE", "normal")


def killed_subscribers(redis: RedisServer, client: Redis) -> None:
    client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")


def paused(redis: RedisServer, client: Redis) -> None:
    client.execute_command("CLIENT", "PAUSE", int(TROUBLE_S * 1000), "ALL")
    client.execute_command("PING")


def asleep(redis: RedisServer, client: Redis) -> None:
    client.execute_command("DEBUG", "SLEEP", TROUBLE_S)


def restarted_with_its_data(redis: RedisServer, client: Redis) -> None:
    client.execute_command("SAVE")
    redis.stop()
    pause()
    redis.start()


def restarted_empty(redis: RedisServer, client: Redis) -> None:
    redis.stop()
    (redis.folder / "dump.rdb").unlink(missing_ok=True)
    pause()
    redis.start()


def read_only(redis: RedisServer, client: Redis) -> None:
    client.execute_command("REPLICAOF", "127.0.0.1", "1")
    pause()
    client.execute_command("REPLICAOF", "NO", "ONE")


def out_of_memory(redis: RedisServer, client: Redis) -> None:
    client.config_set("maxmemory", 1)
    pause()
    client.config_set("maxmemory", 0)


Trouble = Callable[[RedisServer, Redis], None]
TROUBLES: tuple[Trouble, ...] = (
    killed_commands, killed_subscribers, paused, asleep, restarted_with_its_data, restarted_empty, read_only, out_of_memory,
)  # fmt: skip


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__)
def test_all_goes_on_after(fleet: Fleet, trouble: Trouble) -> None:
    """P9. New work flows within 2 s of Redis coming back, open sockets echo again, and nobody who asked meanwhile hangs."""
    with connect(f"{fleet.interface.websocket_url}/survivor") as socket, Asking(fleet.interface) as asking:
        echo(socket, "before")
        with fleet.redis.client() as client, contextlib.suppress(RedisError):
            trouble(fleet.redis, client)
        back = time.monotonic()
        assert flows_again(fleet.interface) < BACK_S
        echo(socket, "after")
        assert time.monotonic() - back < 2 * BACK_S
        wait_until(lambda: 200 in asking.after(back), "who has asked all the while is answered")
    assert not asking.faults, asking.faults
    assert {status for _, status in asking.answers} <= {200, 502, 503}
    assert fleet.interface.process.poll() is None and fleet.worker.process.poll() is None


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_that_comes_when_redis_has_just_run_out_of_memory_is_told_so(fleet: Fleet, method: str) -> None:
    """P3, P9. It goes to the worker directly, as the first that is refused: 503 and not 502, as nothing was begun."""

    def direct_total() -> int:
        return sum(lease.get("direct_total", 0) for lease in leases_at(fleet.redis.url) if lease["role"] == "interface")

    url = f"{fleet.interface.url}/hello/{method}"
    with httpx.Client(**PLAIN, timeout=60.0) as client, fleet.redis.client() as redis:
        before = direct_total()
        wait_until(lambda: client.request(method, url).status_code == 200 and direct_total() > before, "it is direct")
        try:
            redis.config_set("maxmemory", 1)
            refused = [client.request(method, url) for _ in range(3)]
        finally:
            redis.config_set("maxmemory", 0)
        assert [(answer.status_code, "retry-after" in answer.headers) for answer in refused] == [(503, True)] * 3
        wait_until(lambda: client.request(method, url).status_code == 200, "it is answered again")
        before = direct_total()
        wait_until(lambda: client.request(method, url).status_code == 200 and direct_total() > before, "directly, too")


@pytest.mark.parametrize("new_too", [False, True], ids=["those that stood", "for a while also new ones"])
def test_half_open_connections_are_given_up(tmp_path: Path, redis_server: RedisServer, new_too: bool) -> None:
    """P9. A proxy swallows everything on all connections to Redis, and not one of them ever ends."""
    proxy = SwallowingProxy(redis_server.socket).start()
    try:
        with (
            fleet_on(redis_server, proxy.url, tmp_path, "--redis-outage-timeout", "12") as fleet,
            connect(f"{fleet.interface.websocket_url}/survivor") as socket,
            fleet.interface.connect(timeout_s=40) as hanging,
        ):
            echo(socket, "before")
            hanging.sendall(b"POST /hang HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            wait_until((tmp_path / "traces" / "hanging").exists, "a worker has it in hand")
            with Asking(fleet.interface) as asking:
                assert proxy.mute(new=new_too) >= 10
                if new_too:
                    assert hanging.recv(64).startswith(b"HTTP/1.1 502 ")
                    proxy.heal()
                took_s = flows_again(fleet.interface)
                if new_too:
                    assert took_s < BACK_S
                echo(socket, "after")
            assert not asking.faults, asking.faults
    finally:
        proxy.stop()
