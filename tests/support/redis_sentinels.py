"""A primary, its replicas, and a Sentinel that puts one of them in its place: real servers, on ports of 127.0.0.1.

The Sentinel is quick: it calls dead who has not answered for a second.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

from redis import Redis
from redis.exceptions import RedisError, ResponseError

from tests.support.facts import wait_until
from tests.support.guarded_redis import PASSWORD, REDIS, SENTINEL_PASSWORD, Guard
from tests.support.serving import free_port
from towpath.runtime.embedded_redis import find_binary

SERVICE = "horses"
DEADLINE_S = 40.0
DOWN_AFTER_MS = 1_000
OPTIONS = ("--save", "", "--appendonly", "no", "--loglevel", "warning", "--repl-diskless-sync-delay", "0")


class _Started:
    """One process in a folder of its own."""

    def __init__(self, folder: Path, command: list[str], port: int, client: dict[str, Any]) -> None:
        folder.mkdir(exist_ok=True)
        self.port = port
        self._client = client
        self._folder = folder
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, cwd=self._folder, stdout=subprocess.DEVNULL)
        wait_until(self._listens, f"port {self.port} answers", DEADLINE_S)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def stop(self) -> None:
        """End it, and wait; also one that is frozen."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def client(self) -> Redis:
        options: dict[str, Any] = {"host": "127.0.0.1", "decode_responses": True, "socket_timeout": 2.0, **self._client}
        return Redis(port=self.port, **options)

    def role(self) -> str:
        """What it believes it is; nothing, if it does not say."""
        try:
            with self.client() as client:
                return str(client.role()[0])
        except RedisError:
            return ""


class RedisSentinels:
    """All of them. `start`, `remove`; in between they may be hit by their names. With a guard: behind it, all of them."""

    def __init__(self, replicas: int = 1, guard: Guard | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="towpath-sentinel-"))
        self._guard = guard
        self._binary, first = REDIS if guard and REDIS else find_binary(), free_port()
        #: The first of them is the primary, as long as nothing happens.
        self.servers = [self._server(number, first) for number in range(replicas + 1)]
        self.sentinel = self._sentinel(first)

    @property
    def url(self) -> str:
        """With one Sentinel in front that is not there: there are always some that are not."""
        hosts = f"127.0.0.1:1,127.0.0.1:{self.sentinel.port}/{SERVICE}"
        if self._guard is None:
            return f"redis+sentinel://{hosts}"
        password = quote(SENTINEL_PASSWORD, safe="")
        return f"rediss+sentinel://{self._guard.user}{hosts}?sentinel_password={password}&{self._guard.parameters}"

    def start(self) -> RedisSentinels:
        """All stand, the replicas have what the primary has, and the Sentinel knows them."""
        for server in self.servers:
            server.start()
        wait_until(self._replicated, "the replicas have synced", DEADLINE_S)
        self.sentinel.start()
        wait_until(self._known, "the Sentinel knows the replicas", DEADLINE_S)
        return self

    def remove(self) -> None:
        """End all, and leave nothing behind."""
        for process in (self.sentinel, *self.servers):
            process.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def primary_port(self) -> int:
        """As the Sentinel says."""
        with self.sentinel.client() as client:
            return int(client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)[1])

    @property
    def primary(self) -> _Started:
        port = self.primary_port
        return next(server for server in self.servers if server.port == port)

    @property
    def pid(self) -> int:
        return self.primary.pid

    @property
    def server_url(self) -> str:
        """Of the primary itself, whatever processes are told."""
        return f"redis://127.0.0.1:{self.primary_port}/0"

    def fail_over(self) -> None:
        """As an operator does who wants to update the primary. On a busy machine it may have begun by itself."""
        with self.sentinel.client() as client:
            try:
                client.execute_command("SENTINEL", "FAILOVER", SERVICE)
            except ResponseError as error:
                if not str(error).startswith("INPROG"):
                    raise

    def wait_for_promotion(self, before: int) -> None:
        """Until the Sentinel says that another is the primary."""
        wait_until(lambda: self.primary_port != before, "a replica is promoted", DEADLINE_S)

    def until_whole(self) -> None:
        """One primary, all others replicas that follow it, as the Sentinel sees it too."""
        wait_until(lambda: self._replicated() and self._known(), "one primary and its replicas", 2 * DEADLINE_S)

    def _server(self, number: int, first: int) -> _Started:
        port = first if number == 0 else free_port()
        conf = self.folder / f"server-{number}.conf"
        conf.write_text(self._guard.server(port) if self._guard else f"port {port}\n")
        command = [self._binary, str(conf), "--bind", "127.0.0.1", *OPTIONS]
        if number:
            command += ["--replicaof", f"127.0.0.1 {first}"]
        client = self._guard.client(PASSWORD) if self._guard else {}
        return _Started(self.folder / f"server-{number}", command, port, client)

    def _sentinel(self, first: int) -> _Started:
        port, conf = free_port(), self.folder / "sentinel.conf"
        conf.write_text(
            f"bind 127.0.0.1\nloglevel warning\n"
            f"sentinel monitor {SERVICE} 127.0.0.1 {first} 1\n"
            f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}\n"
            f"sentinel failover-timeout {SERVICE} 10000\n"
            + (self._guard.sentinel(port, SERVICE) if self._guard else f"port {port}\n")
        )
        client = self._guard.client(SENTINEL_PASSWORD) if self._guard else {}
        return _Started(self.folder / "sentinel", [self._binary, str(conf), "--sentinel"], port, client)

    def _replicated(self) -> bool:
        try:
            roles = []
            for server in self.servers:
                with server.client() as client:
                    roles.append(client.role())
        except RedisError:
            return False
        states = sorted(str(role[3]) if role[0] == "slave" else str(role[0]) for role in roles)
        return states == sorted(["master", *["connected"] * (len(roles) - 1)])

    def _known(self) -> bool:
        with self.sentinel.client() as client:
            replicas = client.execute_command("SENTINEL", "REPLICAS", SERVICE)
        sound = [one for one in replicas if one["flags"] == "slave" and one["master-link-status"] == "ok"]
        return len(sound) == len(self.servers) - 1
