"""Servers of the Redis protocol for the tests: real ones, each in a folder of its own, ended by their own pid."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from redis import Redis

from tests.support.facts import wait_until
from towpath.runtime.embedded_redis import find_binary

DEADLINE_S = 10.0


class RedisServer:
    """One server, on a unix socket. `stop` and `start` again keep its address."""

    def __init__(self, arguments: tuple[str, ...] = (), binary: str = "") -> None:
        """binary: the embedded server's, if none is given."""
        self.folder = Path(tempfile.mkdtemp(prefix="towpath-redis-"))
        self.socket = self.folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self._binary = binary or find_binary()
        self._arguments = arguments
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> RedisServer:
        """Start it and wait until it answers."""
        command = [self._binary, "--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.folder)]
        command += ["--save", "", "--appendonly", "no", "--loglevel", "warning", *self._arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_until(self._listens, "the Redis server has started", DEADLINE_S)
        return self

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0

    def client(self) -> Redis:
        """A client for looking at it."""
        return Redis(unix_socket_path=str(self.socket), decode_responses=True)

    def signal(self, number: signal.Signals) -> None:
        """A signal to this server alone."""
        assert self.process is not None
        os.kill(self.process.pid, number)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def server_url(self) -> str:
        """Of the server itself, whatever processes are told."""
        return self.url

    def stop(self) -> None:
        """End it, and wait."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def remove(self) -> None:
        """End it and leave nothing behind."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
