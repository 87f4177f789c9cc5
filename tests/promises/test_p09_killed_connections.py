"""P9: a connection to Redis that is killed or refused is made again, whichever it is, and nothing is restarted."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from redis import Redis
from websockets.sync.client import connect

from tests.promises.asking import BACK_S, Asking, echo, flows_again
from tests.promises.conftest import PROJECT
from tests.promises.test_p09_redis_trouble import fleet_on
from tests.support.redis_server import RedisServer
from tests.support.serving import BIN, environment, free_port, wait_until

FULL = "it has as many clients as its maxclients allows"
MANY = 10_000


def others(client: Redis) -> dict[int, str]:
    """All connections but this one by their number, with what each did last."""
    own = client.client_id()
    return {int(each["id"]): each["cmd"] for each in client.client_list() if int(each["id"]) != own}


def test_each_connection_may_be_killed_by_itself(own_redis: RedisServer, tmp_path: Path) -> None:
    """P9. Commands, inbox, groups, lease, and each channel that a worker reads: all are there again, and new work flows."""
    lost_by_kind: dict[str, list[int]] = {}
    with (
        own_redis.client() as client,
        fleet_on(own_redis, own_redis.url, tmp_path) as fleet,
        connect(f"{fleet.interface.websocket_url}/survivor") as socket,
        Asking(fleet.interface) as asking,
    ):
        echo(socket, "before")
        assert flows_again(fleet.interface) < BACK_S
        standing = others(client)
        for number, kind in standing.items():
            before = time.monotonic()
            assert client.execute_command("CLIENT", "KILL", "ID", number) == 1
            wait_until(lambda: len(others(client)) >= len(standing), f"all are there after the end of {kind}")
            assert flows_again(fleet.interface) < BACK_S
            echo(socket, kind)
            enough = len(asking.answers) + 10
            wait_until(lambda enough=enough: len(asking.answers) > enough, "who asks all the while is answered")
            lost_by_kind.setdefault(kind, []).extend(status for status in asking.after(before) if status != 200)
        assert not asking.faults, asking.faults
        assert {status for _, status in asking.answers} <= {200, 502, 503}
        logs = fleet.interface.log + fleet.worker.log
        for what in ("commands", "inbox", "groups", "channel http.request", "channel websocket.connect"):
            assert logs.count(f"connected to Redis again ({what})") in (1, 2), what
        assert "Traceback" not in logs and "declared dead" not in logs
    lost = {kind for kind, statuses in lost_by_kind.items() if statuses}
    assert lost <= {"evalsha", "xadd"}, (
        lost_by_kind
    )  # the connection for commands: what comes meanwhile is refused at once


def test_a_redis_that_takes_no_more_clients_is_waited_for(own_redis: RedisServer, tmp_path: Path) -> None:
    """P9. Every attempt to connect is refused for a while: the log says why, without tracebacks, and all goes on by itself."""
    with (
        own_redis.client() as client,
        fleet_on(own_redis, own_redis.url, tmp_path) as fleet,
        connect(f"{fleet.interface.websocket_url}/survivor") as socket,
        Asking(fleet.interface) as asking,
    ):
        echo(socket, "before")
        standing = len(others(client))
        client.config_set("maxclients", 1)
        for number in others(client):
            client.execute_command("CLIENT", "KILL", "ID", number)
        for server in (fleet.interface, fleet.worker):
            server.wait_for_log("the lease could not be renewed: ")
            server.wait_for_log(FULL)
        refused = client.info("stats")["rejected_connections"]
        began = time.monotonic()
        wait_until(lambda: time.monotonic() - began > 2.0, "two seconds of attempts")
        #: Each of some ten connections tries about once a second.
        assert client.info("stats")["rejected_connections"] - refused < 20 * (time.monotonic() - began)
        client.config_set("maxclients", MANY)
        back = time.monotonic()
        assert flows_again(fleet.interface) < BACK_S
        echo(socket, "after")
        wait_until(lambda: 200 in asking.after(back), "who has asked all the while is answered")
        wait_until(lambda: len(others(client)) >= standing, "all are there again")
        assert not asking.faults and {status for _, status in asking.answers} <= {200, 502, 503}
        for server in (fleet.interface, fleet.worker):
            server.wait_for_log("connected to Redis again (all ")
            for once in ("lost the connection to Redis", "connected to Redis again"):
                assert server.log.count(once) == 1, "one line for all connections of a process"
        logs = fleet.interface.log + fleet.worker.log
        assert "Traceback" not in logs and "IndexError" not in logs


@pytest.mark.parametrize("command", ["serve", "interface", "worker", "status"])
@pytest.mark.parametrize("room", [0, 2], ids=["for none", "for the first two connections"])
def test_a_start_on_a_redis_that_takes_no_more_clients_ends_with_one_sentence(
    own_redis: RedisServer, tmp_path: Path, short_path: Path, command: str, room: int
) -> None:
    """P12. It says what the operator has to raise, also where the checks still had room."""
    words = [command, *(("witness", "--app-dir", str(PROJECT)) if command in ("serve", "worker") else ())]
    words += [] if command == "status" else ["--redis-wait", "1"]
    words += ["--port", str(free_port())] if command in ("serve", "interface") else []
    with own_redis.client() as client:
        client.ping()
        client.config_set("maxclients", 1 + room)
        ended = subprocess.run(
            [BIN / "towpath", *words, "--redis", own_redis.url],
            env={**environment({}), "XDG_RUNTIME_DIR": str(short_path), "TRACES": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        if command == "status" and room:
            assert ended.returncode == 0
            return
        lines = (ended.stdout + ended.stderr).splitlines()
        assert ended.returncode == 3 and any(FULL in line for line in lines), lines
        assert "Traceback" not in ended.stdout + ended.stderr
        if not room:
            assert len(lines) == 1 and lines[0].startswith("towpath: Redis at "), lines
