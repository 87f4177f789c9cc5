"""P7: the pods of the manifests, as processes of this machine, and a rollout of the workers as a Deployment does it."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from tests.promises.fleet import leases_at
from tests.support.manifests import Manifest, ours, render, variables
from tests.support.plain_http import PLAIN
from tests.support.serving import BIN, Server, free_port, redis_server, redis_url, running, stop, wait_until

PROJECT = Path(__file__).parent / "project"
SOCKETS = 30
APP_OF_THE_BASE = "examples.chat.app:application"


@pytest.fixture
def url_file(tmp_path: Path) -> Iterator[Path]:
    """What the Secret becomes in a pod."""
    with redis_server(tmp_path / "redis") as redis:
        path = tmp_path / "url"
        path.write_text(redis_url(redis))
        yield path


def answers(container: Manifest, probe: str, port: int) -> bool:
    """True if the kubelet would be content."""
    with contextlib.suppress(httpx.TransportError):
        path = container[probe]["httpGet"]["path"]
        return httpx.get(
            f"http://127.0.0.1:{port}{path}", timeout=container[probe]["timeoutSeconds"], **PLAIN
        ).is_success
    return False


@contextlib.contextmanager
def pod(name: str, url_file: Path, run_dir: Path, generation: int = 1) -> Iterator[Server]:
    """The container of this name, on ports of its own, with an application of the tests; up when its readiness probe succeeds."""
    manifests = render("base")
    container = ours(manifests)[name]
    port, admin_port = free_port(), free_port()
    said = {"8000": str(port), APP_OF_THE_BASE: "counted_owners"}
    environment = variables(manifests, container) | {
        "TOWPATH_REDIS_URL_FILE": str(url_file),
        "TOWPATH_ADMIN_PORT": str(admin_port),
    }
    if name == "worker":
        fleet, _, _ = environment["TOWPATH_GENERATION"].partition("/")
        environment |= {"TOWPATH_GENERATION": f"{fleet}/{generation}", "TOWPATH_APP_DIR": str(PROJECT)}
    command = [BIN / "towpath", *(said.get(word, word) for word in container["args"])]
    with running(
        name, command, run_dir=run_dir, env=environment, port=port,
        ready=lambda _: answers(container, "readinessProbe", admin_port),
    ) as server:  # fmt: skip
        assert answers(container, "livenessProbe", admin_port)
        yield server


def test_a_rollout_fails_no_request_and_moves_each_socket_once(tmp_path: Path, url_file: Path) -> None:
    """P7. One more pod, then one less, until all are new; the pods find each other with the variables of the manifests alone."""
    stopped, answered = threading.Event(), Counter[int]()

    def ask_on_and_on(url: str) -> None:
        with httpx.Client(**PLAIN, timeout=30) as client:
            while not stopped.is_set():
                answered[client.get(url).status_code] += 1

    with contextlib.ExitStack() as stack:
        interface = stack.enter_context(pod("interface", url_file, tmp_path / "interface"))
        old = [stack.enter_context(pod("worker", url_file, tmp_path / f"old-{n}")) for n in range(2)]
        sockets = [stack.enter_context(connect(interface.websocket_url)) for _ in range(SOCKETS)]
        assert {owners for owners, _ in ask(sockets)} == {1}
        client = threading.Thread(target=ask_on_and_on, args=(interface.url,))
        client.start()
        try:
            for n, worker in enumerate(old):
                stack.enter_context(pod("worker", url_file, tmp_path / f"new-{n}", generation=2))
                # `minReadySeconds` is longer than what the news and the leases need to be known.
                wait_until(
                    lambda left=old[n:]: all_give_way(url_file.read_text(), left), "the old ones know of the new one"
                )
                stop(worker)
            now = ask(sockets)
            before = answered.total()
            wait_until(lambda: answered.total() > before, "requests go on")
        finally:
            stopped.set()
            client.join()
        # Old workers leave sockets to new ones for a second; on a loaded machine one may take longer. Without --generation it is half.
        moves = Counter(owners - 1 for owners, _ in now)
        assert moves[1] + moves[2] == SOCKETS and moves[2] <= SOCKETS // 10, moves
        assert not {pid for _, pid in now} & {worker.process.pid for worker in old}
        assert set(answered) == {200}


def all_give_way(url: str, workers: list[Server]) -> bool:
    """True if the lease of each of these workers says that it leaves WebSockets to newer ones."""
    found = {lease["pid"]: lease.get("gives_way") for lease in leases_at(url)}
    return all(found.get(worker.process.pid) for worker in workers)


def ask(sockets: list) -> list[tuple[int, int]]:  # type: ignore[type-arg]
    """Of each socket: how many owners it has had, and the process that owns it."""
    for socket in sockets:
        socket.send("who?")
    return [(int(owners), int(pid)) for owners, pid in (socket.recv(timeout=20).split() for socket in sockets)]
