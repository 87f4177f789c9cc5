"""The servers that are replaced and killed: each with two workers, and each by the means that its users have."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from benchmarks import processes
from benchmarks.deploys import facts
from benchmarks.servers import BINARIES, Server, ServerFailed, free_port, own_folder, started
from towpath.runtime import embedded_redis

APPLICATION = "deploys.application:application"
WORKERS = 2
READY_DEADLINE_S = 60.0
RELOAD_DEADLINE_S = 120.0
LOOK_EVERY_S = 0.02
REDIS_DEADLINE_S = 10.0


@dataclass
class Fleet:
    """One server with its workers, and what its application wrote down."""

    name: str
    server: Server
    folder: Path

    def facts(self, word: str) -> list[facts.Fact]:
        return facts.read(self.folder / "facts", word)

    def workers(self) -> list[int]:
        """Processes that have begun to run the application and have not ended. Cheap: clients run beside it."""
        return sorted(fact.pid for fact in self.facts("started") if processes.arguments(fact.pid))

    def part(self, name: str) -> list[int]:
        """Processes of one part, as servers.part calls them."""
        self.server.look()
        return [pid for pid, part in self.server.members.items() if part == name]

    async def stands(self) -> None:
        """Returns when all workers run. Raises ServerFailed at the deadline."""
        await self.until(lambda: len(self.workers()) >= WORKERS, f"{WORKERS} workers", READY_DEADLINE_S)

    async def until(self, fact: Callable[[], bool], what: str, deadline_s: float) -> None:
        end_s = time.monotonic() + deadline_s
        while not fact():
            if time.monotonic() > end_s:
                raise ServerFailed(f"not within {deadline_s:g} s: {what}")
            await asyncio.sleep(LOOK_EVERY_S)

    async def kill_one(self, random: Random) -> tuple[int, float]:
        """SIGKILL to one of the workers; its number, and when. In a thread, so that no client waits for the look at all processes."""
        await self.until(lambda: bool(self.workers()), "a worker that could be killed", READY_DEADLINE_S)
        return await asyncio.to_thread(self._kill_one, random)

    def _kill_one(self, random: Random) -> tuple[int, float]:
        # The number of a process that has ended may be another's by now: only processes of the family are touched.
        victim = random.choice(sorted(set(self.workers()).intersection(processes.family(self.server.pid))))
        at_s = time.monotonic()
        os.kill(victim, signal.SIGKILL)
        return victim, at_s

    async def reload(self) -> None:
        """All workers are replaced, by the means of this server. Towpath's command ends when they are."""
        before = set(self.workers())
        if self.name == "towpath":
            await self._command("reload", "--run-dir", str(self.folder / "run"))
        else:
            os.kill(self.server.pid, signal.SIGHUP)
        await self.until(lambda: self._replaced(before), "all workers are new", RELOAD_DEADLINE_S)

    def _replaced(self, before: set[int]) -> bool:
        now = set(self.workers())
        return len(now) >= WORKERS and not now & before

    async def _command(self, *words: str) -> None:
        command = await asyncio.create_subprocess_exec(
            BINARIES / "towpath", *words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        said, _ = await command.communicate()
        if command.returncode:
            raise ServerFailed(f"`towpath {words[0]}` ended with {command.returncode}: {said.decode()[-500:]}")


@contextmanager
def fleet_of(name: str, options: Sequence[str] = ()) -> Iterator[Fleet]:
    """One of COMMANDS, with options of its own behind."""
    with own_folder() as folder:
        (folder / "facts").mkdir()
        port = free_port()
        command = [*COMMANDS[name](port, folder), *options]
        with started(command, port, folder, {"BENCH_FACTS": str(folder / "facts")}) as server:
            yield Fleet(name, server, folder)


def _towpath(port: int, folder: Path) -> list[str]:
    """One interface server, two workers, and, unless an option says otherwise, the embedded server of the Redis protocol."""
    place = ["--host", "127.0.0.1", "--port", str(port), "--run-dir", str(folder / "run")]
    size = ["--interfaces", "1", "--workers", str(WORKERS)]
    return [str(BINARIES / "towpath"), "serve", APPLICATION, *place, *size, "--no-access-log", "--log-level", "warning"]


def _uvicorn(port: int, folder: Path) -> list[str]:
    """Its parent replaces the workers on SIGHUP, and starts one anew that died."""
    speed = ["--loop", "uvloop", "--http", "httptools", "--ws-per-message-deflate", "false"]
    quiet = ["--no-access-log", "--log-level", "error"]
    place = ["--host", "127.0.0.1", "--port", str(port), "--workers", str(WORKERS)]
    return [str(BINARIES / "uvicorn"), APPLICATION, *place, *speed, *quiet]


def _gunicorn(port: int, folder: Path) -> list[str]:
    """Its ASGI worker is uvicorn's. SIGHUP to the parent: new workers are started, and the old ones are asked to leave."""
    kind = ["--worker-class", "uvicorn_worker.UvicornWorker", "--workers", str(WORKERS)]
    place = ["--bind", f"127.0.0.1:{port}", "--log-level", "error"]
    return [str(BINARIES / "gunicorn"), *kind, *place, APPLICATION]


COMMANDS: dict[str, Callable[[int, Path], list[str]]] = {
    "towpath": _towpath,
    "uvicorn": _uvicorn,
    "gunicorn": _gunicorn,
}


class Redis:
    """A server of the Redis protocol that keeps nothing, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.url = f"unix://{folder / embedded_redis.SOCKET_NAME}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        command = embedded_redis.arguments(embedded_redis.find_binary(), self._folder)
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        end_s = time.monotonic() + REDIS_DEADLINE_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end_s:
                raise ServerFailed("the Redis server did not start")
            time.sleep(0.001)

    @property
    def pid(self) -> int:
        if self._process is None:
            raise ServerFailed("the Redis server does not run")
        return self._process.pid

    def empty(self) -> None:
        """It knows nothing, as after its start."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self.url.removeprefix("unix://"))
            connection.sendall(b"FLUSHALL\r\n")
            if not connection.recv(16).startswith(b"+OK"):
                raise ServerFailed("the Redis server could not be emptied")

    def stop(self) -> None:
        """It and all that it knew is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(self.url.removeprefix("unix://"))
                probe.sendall(b"PING\r\n")
                return probe.recv(16).startswith(b"+PONG")
            except OSError:
                return False


@contextmanager
def own_redis() -> Iterator[Redis]:
    with own_folder() as folder:
        redis = Redis(folder)
        redis.start()
        try:
            yield redis
        finally:
            redis.stop()
