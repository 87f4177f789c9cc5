"""Servers as a user starts them: a command, a port, a log; up when they answer, gone when they are told to go.

Each one is a process of its own in a session of its own, so that whatever it started can be found afterwards: a server
that leaves a process behind has not ended. Nothing here waits for time to pass; it waits for facts, with a deadline.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from towpath.runtime.embedded_redis import SOCKET_NAME, arguments, find_binary
from towpath.system.processes import Identity

BIN = Path(sys.executable).parent
LOG_TAIL_CHARS = 12_000
START_DEADLINE_S = 90.0
STOP_DEADLINE_S = 40.0
#: A graceful end is waited for by the server; shorter than its default, so that one hanging instance costs seconds.
GRACE = ("--timeout-graceful-shutdown", "5")
READY_PATH = "/-/health/ready"


class ServerFailed(AssertionError):
    """A server did not start, did not stop, or ended with the wrong code; the text holds the end of its log."""


@dataclass(frozen=True)
class Server:
    """A running server: where it answers, and what it has said so far."""

    kind: str  #: the command: uvicorn, serve, interface, worker
    process: subprocess.Popen[bytes]
    log_path: Path
    run_dir: Path
    host: str = "127.0.0.1"
    port: int = 0
    log_begin: int = 0  #: where its own lines begin in the file, in bytes

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def websocket_url(self) -> str:
        return f"ws://{self.host}:{self.port}"

    @property
    def log(self) -> str:
        return self.log_path.read_bytes()[self.log_begin :].decode(errors="replace")

    def connect(self, timeout_s: float = 15.0) -> socket.socket:
        """A plain client socket: for clients that are slow, rude, or gone."""
        return socket.create_connection((self.host, self.port), timeout=timeout_s)

    def wait_for_log(self, text: str) -> None:
        wait_until(lambda: text in self.log, f"{text!r} in the log of {self.kind}", START_DEADLINE_S, self)

    def failed(self, why: str) -> ServerFailed:
        return ServerFailed(f"{self.kind}: {why}\n{self.log[-LOG_TAIL_CHARS:]}")


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(fact: Callable[[], bool], what: str, deadline_s: float = 30.0, server: Server | None = None) -> None:
    """Return once `fact()` is true; fail at the deadline, or at once when `server` has ended."""
    end = time.monotonic() + deadline_s
    between = threading.Event()
    while not fact():
        if server is not None and server.process.poll() is not None:
            raise server.failed(f"ended with {server.process.returncode} while waiting for {what}")
        if time.monotonic() > end:
            failure = f"not within {deadline_s} s: {what}"
            raise AssertionError(failure) if server is None else server.failed(failure)
        between.wait(0.02)


def is_ready(server: Server) -> bool:
    """Does it answer? Towpath says so itself; of any other server it is enough that it accepts connections."""
    try:
        with server.connect(timeout_s=2.0) as client:
            if server.kind == "uvicorn":
                return True
            client.sendall(f"GET {READY_PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            return client.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def all_stand(server: Server) -> bool:
    """From now on `serve` takes nobody's death for a failed start."""
    return "ready after" in server.log


def processes_of(session: int) -> list[int]:
    """The processes of one session, from /proc: who was started by a server and by those whom it started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == session and fields[0] != "Z":
                    found.append(int(entry.name))
    return found


def recorded(path: Path) -> int | None:
    """The process that a file of a run folder names, if it is alive."""
    with contextlib.suppress(OSError):
        process = Identity.parse(path.read_text())
        return None if process is None else process.pid
    return None


@contextlib.contextmanager
def running(
    kind: str,
    command: Sequence[str | Path],
    *,
    run_dir: Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    port: int = 0,
    ready: Callable[[Server], bool] = is_ready,
    exit_codes: Sequence[int] = (0,),
    pass_fds: Sequence[int] = (),
) -> Iterator[Server]:
    """Start `command`, wait until it is ready; at the end SIGTERM, its exit code, and nobody left behind."""
    run_dir.mkdir(parents=True, exist_ok=True)
    log_path = run_dir / f"{kind}.log"
    with log_path.open("ab") as log:
        log_begin = log.tell()
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env=environment(env or {}),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=pass_fds,
            start_new_session=True,
        )
    server = Server(kind, process, log_path, run_dir, port=port, log_begin=log_begin)
    try:
        wait_until(lambda: ready(server), "ready", START_DEADLINE_S, server)
        yield server
        stop(server, exit_codes)
    finally:
        end_by_force(server)


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """This process' environment without what would steer the server under test, and with `extra`."""
    steering = ("TOWPATH_", "UVICORN_", "PYTHONPATH", "WEB_CONCURRENCY", "DJANGO_", "FORWARDED_ALLOW_IPS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(steering)}
    return {**kept, "PYTHONUNBUFFERED": "1", **extra}


def stop(server: Server, exit_codes: Sequence[int] = (0,)) -> None:
    """SIGTERM, then wait for the end. It counts as ended when nobody of its session is alive."""
    server.process.send_signal(signal.SIGTERM)
    try:
        code = server.process.wait(STOP_DEADLINE_S)
    except subprocess.TimeoutExpired:
        raise server.failed(f"still running {STOP_DEADLINE_S} s after SIGTERM") from None
    if code not in exit_codes:
        raise server.failed(f"ended with {code} after SIGTERM")
    left = processes_of(server.process.pid)
    if left:
        raise server.failed(f"left processes behind: {left}")


def end_by_force(server: Server) -> None:
    """Whatever happened: nobody of this session outlives the test."""
    for pid in processes_of(server.process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    server.process.wait()


def towpath_serve(
    app: str, *, run_dir: Path, app_dir: Path | None = None, options: Sequence[str] = (), **how: Any
) -> contextlib.AbstractContextManager[Server]:
    """`towpath serve APP`: embedded server, interface servers, workers."""
    port = free_port()
    command: list[str | Path] = [BIN / "towpath", "serve", app, "--port", str(port), "--run-dir", run_dir / "run"]
    words = [*command, *GRACE, *app_dir_option(app_dir), *options]
    return running("serve", words, run_dir=run_dir, port=port, **{"ready": all_stand, **how})


def towpath_interface(
    redis_url: str, *, run_dir: Path, options: Sequence[str] = (), **how: Any
) -> contextlib.AbstractContextManager[Server]:
    """`towpath interface` on a Redis that is there already."""
    port = free_port()
    command: list[str | Path] = [BIN / "towpath", "interface", "--redis", redis_url, "--port", str(port)]
    return running("interface", [*command, *GRACE, *options], run_dir=run_dir, port=port, **how)


def towpath_worker(
    app: str, redis_url: str, *, run_dir: Path, app_dir: Path | None = None, options: Sequence[str] = (), **how: Any
) -> contextlib.AbstractContextManager[Server]:
    """`towpath worker APP`: it listens nowhere, so it is ready at once, and requests wait for it."""
    command = [BIN / "towpath", "worker", app, "--redis", redis_url, *GRACE, *app_dir_option(app_dir), *options]
    return running("worker", command, run_dir=run_dir, **{"ready": lambda _: True, **how})


def uvicorn(
    app: str, *, run_dir: Path, app_dir: Path | None = None, options: Sequence[str] = (), **how: Any
) -> contextlib.AbstractContextManager[Server]:
    """`uvicorn APP`: the control. It raises the signal that ended it once more, so that ends with -15."""
    port = free_port()
    command = [BIN / "uvicorn", app, "--port", str(port), *GRACE, *app_dir_option(app_dir), *options]
    return running("uvicorn", command, run_dir=run_dir, port=port, **{"exit_codes": (0, -signal.SIGTERM), **how})


def redis_server(run_dir: Path) -> contextlib.AbstractContextManager[Server]:
    """A server of the Redis protocol on a unix socket of its own: the one that `serve` would bring along."""
    run_dir.mkdir(parents=True, exist_ok=True)
    command = arguments(find_binary(), run_dir)
    return running("redis", command, run_dir=run_dir, ready=lambda server: answers_ping(run_dir / SOCKET_NAME))


def redis_url(server: Server) -> str:
    return f"unix://{server.run_dir / SOCKET_NAME}"


def answers_ping(path: Path) -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(2.0)
        client.connect(str(path))
        client.sendall(b"PING\r\n")
        return client.recv(16).startswith(b"+PONG")
    return False


def app_dir_option(app_dir: Path | None) -> list[str | Path]:
    return [] if app_dir is None else ["--app-dir", app_dir]
