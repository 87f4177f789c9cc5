"""P2: one owner; only the current owner's output reaches a client, and never another client's."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import httpx

from tests.promises.conftest import PROJECT, Traces
from tests.promises.fleet import processes
from tests.support.plain_http import PLAIN
from tests.support.serving import towpath_serve, wait_until


def test_nobody_gets_anothers_answer_though_processes_die(tmp_path: Path, traces: Traces) -> None:
    """P2. Every client asks for a path of its own; a worker and an interface server are killed meanwhile."""
    options = ("--workers", "2", "--interfaces", "2")
    with towpath_serve("witness", app_dir=PROJECT, run_dir=tmp_path, env=traces.env, options=options) as server:
        wrong: list[str] = []
        right = [0]
        over = threading.Event()

        def ask(name: int) -> None:
            number = 0
            while not over.is_set():
                number += 1
                path = f"/{name}/{number}"
                try:
                    answer = httpx.get(server.url + path, timeout=20, **PLAIN)
                except httpx.TransportError:
                    continue  # the interface server that held us was killed
                if answer.status_code == 200 and answer.text != path:
                    wrong.append(f"{path} was answered with {answer.text}")
                right[0] += answer.text == path

        threads = [threading.Thread(target=ask, args=(name,)) for name in range(6)]
        for thread in threads:
            thread.start()
        try:
            for role in ("worker", "interface", "worker"):
                before = right[0]
                wait_until(lambda before=before: right[0] > before + 50, f"answers before a {role} dies", 40, server)
                os.kill(processes(server, role)[0], signal.SIGKILL)
            before = right[0]
            wait_until(lambda: right[0] > before + 50, "answers after the deaths", 40, server)
        finally:
            over.set()
            for thread in threads:
                thread.join()
        assert not wrong
