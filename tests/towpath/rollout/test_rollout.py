"""What a running `serve` does with requests that cannot be fulfilled: it says so, and goes on."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import resource
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.facts import wait_until
from tests.support.redis_server import RedisServer
from towpath.fleet.fleet import Fleet
from towpath.rollout.reload import NewCode, NewOptions, Reload
from towpath.rollout.rollout import Rollout
from towpath.rollout.undertakings import Undertakings
from towpath.runtime.control_socket import NAME, ControlSocket, Request
from towpath.runtime.process_table import ProcessTable
from towpath.runtime.run_dir import RunDir
from towpath.runtime.worker_environment import WorkerEnvironment
from towpath.status.redis_status import RedisStatus

SLOTS = [f"worker-{number}" for number in range(4)]


class Asked:
    """A rollout without processes, and a client that sends requests to it."""

    def __init__(self, folder: RunDir, status: RedisStatus, check_command: Sequence[str]) -> None:
        self.said: list[str] = []
        self.fleet = Fleet(SLOTS, 2, count_max=2)
        undertakings = Undertakings(self.said.append)
        new_code = NewCode(lambda: NewOptions({"TOWPATH_GENERATION": "fleet/0"}, 0.0), check_command)
        reload = Reload(self.fleet, new_code, WorkerEnvironment(folder.folder, {}), undertakings)
        self.rollout = Rollout(ProcessTable(folder), status, {"worker": self.fleet}, reload, undertakings)

    def reload(self) -> dict[str, object]:
        """The answer to one request."""
        here, there = socket.socketpair()
        with here, there:
            there.setblocking(False)
            self.rollout.apply(Request({"do": "reload"}, here))
            answers: list[dict[str, object]] = []

            def answered() -> bool:
                self.rollout.poll({})
                try:
                    answers.extend(map(json.loads, there.recv(4096).splitlines()))
                except BlockingIOError:
                    return False
                return "code" in answers[-1]

            wait_until(answered, "the answer")
            return answers[-1]


Asking = Callable[[Sequence[str]], Asked]


@pytest.fixture
def asking(tmp_path: Path, redis_server: RedisServer, prefix: str) -> Iterator[Asking]:
    """Makes an `Asked` that checks the application with the given command."""
    folder = RunDir.acquire(tmp_path / "run")
    status = RedisStatus(redis_server.url, prefix)
    yield lambda check_command: Asked(folder, status, check_command)
    status.close()
    folder.release()


def test_a_reload_while_there_is_no_interpreter_leaves_the_old_workers(asking: Asking, tmp_path: Path) -> None:
    """P7. A deployment that is just replacing its environment must not end what serves."""
    asked = asking((str(tmp_path / "removed" / "python"), "-m", "towpath"))
    answer = asked.reload()
    assert answer["code"] == 1 and "the application cannot be loaded" in str(answer["say"])
    assert asked.said[-1].endswith("the old workers stay")
    assert asked.fleet.current == SLOTS[:2] and not asked.rollout.busy


def test_a_reload_that_cannot_leave_its_environment_leaves_the_old_workers(asking: Asking, tmp_path: Path) -> None:
    """P7. A disk may be full, or a cleaner may have removed the folder."""
    asked = asking((sys.executable, "-c", ""))
    shutil.rmtree(tmp_path / "run")
    answer = asked.reload()
    assert answer["code"] == 1 and "the new environment cannot be written" in str(answer["say"])
    assert asked.fleet.current == SLOTS[:2] and not asked.rollout.busy


def test_who_asks_while_no_descriptor_is_free_is_heard_when_one_is(tmp_path: Path) -> None:
    """P7. One lack of them must not make a `serve` deaf for good."""
    requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
    control = ControlSocket(tmp_path, requests.put)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    control.start()
    taken: list[int] = []
    try:
        with socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
            resource.setrlimit(resource.RLIMIT_NOFILE, (second.fileno() + 1, hard))
            with pytest.raises(OSError, match="Too many open files"):
                while True:
                    taken.append(os.open(os.devnull, os.O_RDONLY))
            for client in (first, second):
                client.connect(str(tmp_path / NAME))
                client.sendall(b'{"do": "reload"}\n')
            heard = []  # the first, if the system had set a descriptor apart for it
            with contextlib.suppress(queue.Empty):
                while True:
                    heard.append(requests.get(timeout=0.2))
            assert len(heard) < 2
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            while len(heard) < 2:
                heard.append(requests.get(timeout=10))
            assert [request.asked for request in heard] == [{"do": "reload"}] * 2
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in taken:
            os.close(descriptor)
        control.close()


def test_nonsense_at_the_control_socket_leaves_it_open(tmp_path: Path) -> None:
    """P12. The next request is served: also behind what is nested more deeply than a parser goes."""
    requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
    control = ControlSocket(tmp_path, requests.put)
    control.start()
    try:
        for nonsense in (b"\xff\n", b"{\n", b"[" * 4000 + b"\n"):
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(10)
                client.connect(str(tmp_path / NAME))
                client.sendall(nonsense)
                assert client.recv(1) == b""
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(tmp_path / NAME))
            client.sendall(b'{"do": "reload"}\n')
            assert requests.get(timeout=10).asked == {"do": "reload"}
    finally:
        control.close()
