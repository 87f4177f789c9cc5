"""P7: an interface server that shares its listening socket is restarted, and no client that connects meanwhile notices."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.promises.conftest import PROJECT
from tests.promises.fleet import get, processes
from tests.support.serving import BIN, GRACE, Server, all_stand, running, towpath_serve, wait_until

CLIENTS = 8
RESTARTS = 4
ANSWERED_BETWEEN = 200  #: requests between two restarts, so that each falls into the load


class Load:
    """Clients that open a connection for each request, without a pause; one at a time each."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._client, daemon=True) for _ in range(CLIENTS)]
        self.answered = 0
        self.failures: list[str] = []

    @contextlib.contextmanager
    def under_way(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in self._threads:
                thread.join(30)

    def wait_for_more(self) -> None:
        enough = self.answered + ANSWERED_BETWEEN
        wait_until(lambda: self.answered >= enough or bool(self.failures), "answers", 60, self._server)

    def _client(self) -> None:
        while not self._over.is_set():
            answer = b""
            try:
                with self._server.connect() as client:
                    client.sendall(get("/"))
                    while part := client.recv(4096):
                        answer += part
            except OSError as error:
                self.failures.append(repr(error))
                continue
            if answer.startswith(b"HTTP/1.1 200 "):
                self.answered += 1
            else:
                self.failures.append(repr(answer[:40]))


@contextlib.contextmanager
def served(tmp_path: Path, inherited: bool) -> Iterator[Server]:
    """A `serve` with two interface servers that share one listening socket, which it has made itself or been given."""
    options = ("--interfaces", "2")
    if not inherited:
        with towpath_serve("resumable_echo", app_dir=PROJECT, run_dir=tmp_path, options=options) as server:
            yield server
        return
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        command = [BIN / "towpath", "serve", "resumable_echo", "--fd", str(listener.fileno()), *options, *GRACE]
        place = ["--app-dir", PROJECT, "--run-dir", tmp_path / "run"]
        how = {"port": listener.getsockname()[1], "ready": all_stand, "pass_fds": [listener.fileno()]}
        with running("serve", [*command, *place], run_dir=tmp_path, **how) as server:
            yield server


@pytest.mark.parametrize("inherited", [True, False])
def test_of_two_interface_servers_each_is_restarted_and_no_new_client_is_refused(
    tmp_path: Path, inherited: bool
) -> None:
    """P7. No connection is refused or reset: what the leaving one has accepted it serves, and the other accepts the rest."""
    with served(tmp_path, inherited) as server:
        load = Load(server)
        with load.under_way():
            for _ in range(RESTARTS):
                load.wait_for_more()
                before = processes(server, "interface")
                os.kill(before[0], signal.SIGTERM)
                wait_until(lambda before=before: are_two_without(server, before[0]), "a successor", 60, server)
            load.wait_for_more()
        assert not load.failures, f"{len(load.failures)} beside {load.answered} answers: {load.failures[:5]}"


def are_two_without(server: Server, pid: int) -> bool:
    """True if two interface servers live, and this is none of them."""
    now = processes(server, "interface")
    return len(now) == 2 and pid not in now
