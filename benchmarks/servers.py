"""The servers under load: how each is started as its user would, when it is there, and how it is ended.

All of them get the same terms: one process that runs the application, the fastest loop and parser that it has, no
access log, no lifespan, no compression. Each is ended by the pids that it was found to have, never by a name.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import processes

APPS = Path(__file__).parent
BINARIES = Path(sys.executable).parent
#: Made by `make compiled`, of the same source. Contestants whose names begin with COMPILED are started from there.
COMPILED_BINARIES = APPS.parent / "build" / "compiled" / "bin"
COMPILED = "towpath-compiled"
COMPILED_2 = f"{COMPILED}-2"  #: with two workers
PLACES = 8  #: requests at a time of each worker, of the contestants `towpath-places-…`; their names end with the number of workers
READY_DEADLINE_S = 30.0
STOP_DEADLINE_S = 20.0
LOOK_EVERY_S = 0.02
QUIET = ["--lifespan", "off", "--no-access-log", "--log-level", "warning"]


class ServerFailed(Exception):
    """A server did not start, or ended by itself. The text ends with what it wrote."""


def uvicorn(app: str, port: int, folder: Path) -> list[str]:
    """The measure of all things: in process, uvloop, httptools."""
    speed = ["--loop", "uvloop", "--http", "httptools", "--ws-per-message-deflate", "false"]
    return [str(BINARIES / "uvicorn"), app, "--host", "127.0.0.1", "--port", str(port), *QUIET, *speed]


def daphne(app: str, port: int, folder: Path) -> list[str]:
    """Verbosity 0, because from 1 on it writes an access log."""
    return [str(BINARIES / "daphne"), "-b", "127.0.0.1", "-p", str(port), "-v", "0", app]


def towpath(app: str, port: int, folder: Path) -> list[str]:
    """One interface server, one worker, the embedded server of the Redis protocol, kept alive by supervisord."""
    place = ["--host", "127.0.0.1", "--port", str(port), "--run-dir", str(folder / "run")]
    return [str(BINARIES / "towpath"), "serve", app, *place, "--interfaces", "1", "--workers", "1", *QUIET]


def towpath_compiled(app: str, port: int, folder: Path) -> list[str]:
    """The same with the compiled core."""
    return [str(COMPILED_BINARIES / "towpath"), *towpath(app, port, folder)[1:]]


Command = Callable[[str, int, Path], list[str]]


@dataclass(frozen=True, slots=True)
class Contestant:
    """A server, and the number of processes in which it runs the application."""

    command: Command
    workers: int = 1
    options: tuple[str, ...] = ()

    def arguments(self, app: str, port: int, folder: Path) -> list[str]:
        """The command line. Several processes of uvicorn log that they serve, since nothing else tells it."""
        command = [*self.command(app, port, folder), *self.options]
        if self.workers > 1:
            command += ["--workers", str(self.workers), *(["--log-level", "info"] if self.command is uvicorn else [])]
        return command

    def wait_for_workers(self, folder: Path) -> None:
        """Returns when all of several processes take part. Raises ServerFailed at the deadline."""
        if self.command in (towpath, towpath_compiled):
            wait_for_workers(folder, self.workers)
        elif self.workers > 1:
            wait_for_log(folder, "Started server process", self.workers)


CONTESTANTS = {
    "towpath": Contestant(towpath),
    "towpath-2": Contestant(towpath, 2),
    COMPILED: Contestant(towpath_compiled),
    COMPILED_2: Contestant(towpath_compiled, 2),
    "uvicorn": Contestant(uvicorn),
    "uvicorn-2": Contestant(uvicorn, 2),
    "daphne": Contestant(daphne),
    **{
        f"towpath-places-{workers}": Contestant(towpath, workers, ("--worker-concurrency", str(PLACES)))
        for workers in (1, 2, 4, 8)
    },
}


@dataclass
class Server:
    """A server that accepts connections: where, and which of its processes plays which part."""

    port: int
    pid: int  #: of its first process; all others descend from it
    members: dict[int, str] = field(default_factory=dict)  #: pid to part: server, interface, worker, redis, keeper
    others: dict[int, str] = field(
        default_factory=dict
    )  #: pid to part, of processes that work for it and are not its own
    seen: dict[int, list[str]] = field(default_factory=dict)  #: pid to command line, of all that ever were members

    def look(self) -> None:
        """Find the processes that it has by now. A part's processes may come later than the port is open."""
        self.members = dict(self.others)
        for pid in processes.family(self.pid):
            if command := processes.arguments(pid):
                self.seen[pid] = command
                self.members[pid] = part(command, pid == self.pid)

    def cpu_s(self) -> dict[str, float]:
        """CPU time of each part since its start. Raises ServerFailed if one of its processes is gone."""
        return self._by_part(processes.cpu_s)

    def rss_kib(self) -> dict[str, float]:
        """Resident memory of each part. Raises ServerFailed if one of its processes is gone."""
        return self._by_part(processes.rss_kib)

    def _by_part(self, figure: Callable[[int], float]) -> dict[str, float]:
        figures: dict[str, float] = {}
        for pid, name in self.members.items():
            try:
                figures[name] = figures.get(name, 0.0) + figure(pid)
            except (FileNotFoundError, ProcessLookupError) as gone:
                raise ServerFailed(f"the {name} process ended under load") from gone
        return figures


def part(command: list[str], is_root: bool) -> str:
    """What a process of a server is there for, by its command line."""
    words = [Path(word).name for word in " ".join(command).split()]  # Valkey writes a title of one word
    if any(word.startswith(("valkey-server", "redis-server")) for word in words):
        return "redis"
    if "--multiprocessing-fork" in words:  # of uvicorn
        return "server"
    for word in words:
        if word in ("interface", "interface_server"):
            return "interface"
        if word == "worker":
            return "worker"
    alone = is_root and "serve" not in words
    return "server" if alone else "keeper"


@contextmanager
def running(name: str, app: str, profile: Path | None = None, settled: bool = True) -> Iterator[Server]:
    """The server `name` with `app` (`module:attribute` of this folder), from its first open port to its end.

    profile: a folder into which each Python process of the server writes where its time went. Slower: for eyes only. settled: all of its
    workers take part, too.
    """
    contestant = CONTESTANTS[name]
    with own_folder() as folder:
        port, environment = free_port(), {"BENCH_FOLDER": str(folder)} | profiler(profile)
        with started(contestant.arguments(app, port, folder), port, folder, environment) as server:
            if settled:
                contestant.wait_for_workers(folder)
            yield server


@contextmanager
def started(command: list[str], port: int, folder: Path, environment: dict[str, str]) -> Iterator[Server]:
    """The server that `command` starts, from its first open port to its end. What it says goes into `folder`."""
    log = folder / "log"
    with log.open("wb") as output:
        root = subprocess.Popen(
            command, cwd=APPS, env=_inherited() | environment, stdout=output, stderr=output,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    server = Server(port, root.pid)
    try:
        _wait_until_ready(server, root)
        yield server
    except ServerFailed as failure:
        said = log.read_text(errors="replace")[-2000:].strip() or "it wrote nothing"
        raise ServerFailed(f"{failure}\n{said}") from failure
    finally:
        _stop(server, root)


@contextmanager
def own_folder() -> Iterator[Path]:
    """A folder for one server, which goes with it."""
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def profiler(profile: Path | None) -> dict[str, str]:
    """The environment in which each Python process writes a page of where its time went into this folder."""
    return {} if profile is None else {"PYTHONPATH": str(APPS / "profiler"), "BENCH_PROFILE": str(profile.absolute())}


def _inherited() -> dict[str, str]:
    """Our environment, without what would silently change a server's settings."""
    foreign = ("TOWPATH_", "UVICORN_", "WEB_CONCURRENCY", "DJANGO_", "GUNICORN_")
    return {key: value for key, value in os.environ.items() if not key.startswith(foreign)}


def wait_for_workers(folder: Path, count: int, invite: bool = True) -> None:
    """Returns when each of so many workers of the `towpath serve` in this folder counts the others, and invites the interface server.

    invite: False where direct dispatch is off. Before that a worker that was ready first takes more WebSockets than its share, and
    requests go by the shared channel. Raises ServerFailed at the deadline.
    """
    command = [str(BINARIES / "towpath"), "status", "--json", "--run-dir", str(folder / "run")]
    deadline = time.monotonic() + READY_DEADLINE_S
    while time.monotonic() < deadline:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        leases = json.loads(answer.stdout)["processes"] if answer.returncode == 0 else []
        fellows = [lease.get("fellows") for lease in leases if lease["role"] == "worker"]
        invited_by = [lease.get("inviting_workers") for lease in leases if lease["role"] == "interface"]
        if fellows == [count] * count and invited_by == [count if invite else 0]:
            return
        time.sleep(LOOK_EVERY_S)
    raise ServerFailed(f"the {count} workers do not know each other, or do not invite, after {READY_DEADLINE_S:.0f} s")


def wait_for_log(folder: Path, text: str, count: int) -> None:
    """Returns when the server in this folder has written `text` so many times. Raises ServerFailed at the deadline."""
    deadline = time.monotonic() + READY_DEADLINE_S
    while (folder / "log").read_text(errors="replace").count(text) < count:
        if time.monotonic() > deadline:
            raise ServerFailed(f"less than {count} processes serve after {READY_DEADLINE_S:.0f} s")
        time.sleep(LOOK_EVERY_S)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(server: Server, root: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_DEADLINE_S
    while time.monotonic() < deadline:
        if root.poll() is not None:
            raise ServerFailed(f"ended at its start with exit code {root.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", server.port)) == 0:
                return
        time.sleep(LOOK_EVERY_S)
    raise ServerFailed(f"accepts no connection after {READY_DEADLINE_S:.0f} s")


def _stop(server: Server, root: subprocess.Popen[bytes]) -> None:
    """SIGTERM to the first process; whatever of the family is left at the deadline is killed, pid by pid."""
    if root.poll() is None:
        server.look()
        root.terminate()
    try:
        root.wait(STOP_DEADLINE_S)
    except subprocess.TimeoutExpired:
        pass
    for pid, command in server.seen.items():
        if processes.arguments(pid) == command:  # else another process has the number by now
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    root.wait()
