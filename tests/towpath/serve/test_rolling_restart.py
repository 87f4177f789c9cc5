"""`towpath reload`, `scale` and workers that have lived long enough, with real processes and clients that never stop asking."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.promises.fleet import processes, towpath
from tests.support.facts import wait_until
from tests.support.plain_http import PLAIN
from tests.support.serving import BIN, Server, environment, redis_server, redis_url, towpath_serve, towpath_worker

APP = """
import os
WORD = "first"
async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = f"{WORD} {os.environ.get('NAME', '-')} {os.getpid()}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
"""


#: Of each of four clients between two requests: some hundred a second, so that each moment of a rollout meets some.
PAUSE_S = 0.01


class Asking:
    """Clients in a closed loop: every answer, and every failure. They pause, so that what they watch gets the processor too."""

    def __init__(self, server: Server, clients: int = 4) -> None:
        self.words: set[str] = set()
        self.faults: list[str] = []
        self.count = 0
        self._server = server
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def _ask(self) -> None:
        with httpx.Client(**PLAIN, timeout=30) as client:
            while not self._over.wait(PAUSE_S):
                try:
                    answer = client.get(self._server.url)
                except httpx.TransportError as error:
                    self.faults.append(repr(error))
                    continue
                self.count += 1
                if answer.status_code != 200:
                    self.faults.append(f"status {answer.status_code}")
                self.words.add(answer.text)

    def hear(self, begin: str) -> None:
        """Wait for an answer that begins so."""
        wait_until(lambda: any(word.startswith(begin) for word in self.words), begin)

    def forget(self) -> None:
        self.words = set()

    def __enter__(self) -> Asking:
        for thread in self._threads:
            thread.start()
        wait_until(lambda: self.words)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


@contextlib.contextmanager
def asked(server: Server) -> Iterator[Asking]:
    """Clients ask all the while, and not one of them sees a failure."""
    with Asking(server) as asking:
        yield asking
    assert not asking.faults, server.log
    assert asking.count > 20


def workers(server: Server) -> set[int]:
    return set(processes(server, "worker"))


def test_a_reload_brings_new_code_and_configuration_and_no_request_fails(tmp_path: Path, project: Path) -> None:
    """P7. One worker after the other; --env-file is read again; what was taken out of it is gone."""
    file = tmp_path / "env"
    file.write_text("NAME=anna\nTOWPATH_THREADS=3\n")
    options = ["--workers", "2", "--env-file", str(file)]
    with towpath_serve("small", run_dir=tmp_path, app_dir=project, options=options) as server:
        before, interfaces = workers(server), processes(server, "interface")
        with asked(server) as asking:
            asking.hear("first anna")
            (project / "small.py").write_text(APP.replace("first", "second"))
            file.write_text("NAME=berta\nTOWPATH_WORKERS=3\nTOWPATH_WS_MAX_SIZE=7\n")
            ended = towpath(server, "reload")
            assert (ended.returncode, ended.stderr) == (0, "")
            assert ended.stdout.startswith("ignored until `serve` is restarted: --ws-max-size\n"), (
                "--workers stands in words"
            )
            assert ended.stdout.splitlines()[-1].startswith("2 workers replaced in ")
            asking.forget()
            asking.hear("second berta")
            assert not before & workers(server)
            file.write_text("")
            assert towpath(server, "reload").returncode == 0
            asking.forget()
            asking.hear("second - ")
        assert processes(server, "interface") == interfaces
        assert len(workers(server)) == 2


BROKEN = {
    "it cannot be loaded": ("raise RuntimeError('no database')", "importing 'small' raised RuntimeError: no database"),
    "it cannot be parsed": ("def (", "importing 'small' raised SyntaxError"),
    "its lifespan refuses": (
        APP.replace("startup.complete", "startup.failed").replace('failed"}', 'failed", "message": "no database"}'),
        "could not start: the application's lifespan startup failed: no database",
    ),
    "it leaves without a word": (
        APP.replace("await receive()", "os._exit(5)", 1),
        " while it started",
    ),
}


@pytest.fixture(scope="module")
def running_code(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    """A `serve` with two workers, for all tests of code that cannot start, and the file with its code."""
    file = tmp_path_factory.mktemp("code") / "small.py"
    file.write_text(APP)
    options = ["--workers", "2"]
    with towpath_serve("small", run_dir=tmp_path_factory.mktemp("run"), app_dir=file.parent, options=options) as server:
        yield server, file


@pytest.mark.parametrize("what", BROKEN)
def test_code_that_cannot_start_leaves_the_old_workers_and_says_why(
    running_code: tuple[Server, Path], what: str
) -> None:
    """P7. Exit code 1, one sentence, and no client notices; it is not tried again. Afterwards good code is served."""
    code, why = BROKEN[what]
    server, file = running_code
    before, kept = workers(server), server.log.count(" stay\n")
    with asked(server) as asking:
        file.write_text(code)
        ended = towpath(server, "reload")
        assert ended.returncode == 1
        assert ended.stderr.startswith("towpath: ")
        assert len(ended.stderr.splitlines()) == 1
        assert why in ended.stderr
        assert workers(server) == before
        assert server.log.count(" stay\n") == kept + 1
        assert re.search(r"serve +\| ERROR: .* stay\n", server.log)
        tried = server.log.count(" exited: ")  # supervisord may be quicker than the command to stop
        file.write_text(APP.replace("first", f"after {what}"))
        assert towpath(server, "reload").returncode == 0
        asking.hear(f"after {what}")
        assert server.log.count(" exited: ") == tried


def test_a_release_behind_a_link_is_new_code_after_a_reload(tmp_path: Path) -> None:
    """P7. `serve` was started in `current`, which leads to another release now; the old one is taken away."""
    releases = {word: tmp_path / word for word in ("first", "second", "third")}
    for word, folder in releases.items():
        folder.mkdir()
        (folder / "small.py").write_text(APP.replace("first", word))
        (folder / "env").write_text(f"NAME=of-{word}\n")
    current = tmp_path / "current"
    current.symlink_to(releases["first"])
    here = {"cwd": current, "env": {"PWD": str(current)}}
    with (
        towpath_serve("small", run_dir=tmp_path, options=["--env-file", "env"], **here) as server,
        asked(server) as asking,
    ):
        asking.hear("first of-first")
        for word in ("second", "third"):
            (tmp_path / "next").symlink_to(releases[word])
            (tmp_path / "next").replace(current)
            ended = towpath(server, "reload")
            assert (ended.returncode, ended.stderr) == (0, "")
            asking.hear(f"{word} of-{word}")
            shutil.rmtree(releases["first"], ignore_errors=True)
        current.unlink()
        ended = towpath(server, "reload")
        assert (ended.returncode, str(current) in ended.stderr) == (1, True)


def test_who_waits_long_for_a_reload_is_told_and_its_code_is_awaited(tmp_path: Path, project: Path) -> None:
    """P7. A slow import looks like a hanging one: the command and the log say what they wait for, and for how long."""
    go_on = tmp_path / "go-on"
    os.mkfifo(go_on)
    with towpath_serve("small", run_dir=tmp_path, app_dir=project) as server:
        (project / "small.py").write_text(f"open({str(go_on)!r}).close()\n{APP.replace('first', 'second')}")
        with subprocess.Popen(
            [BIN / "towpath", "reload", "--run-dir", server.run_dir / "run"],
            env=environment({}),
            stdout=subprocess.PIPE,
            text=True,
        ) as reload:
            assert reload.stdout is not None
            assert "still loading the application" in reload.stdout.readline()
            server.wait_for_log("still loading the application")
            (project / "small.py").write_text(APP.replace("first", "second"))
            os.close(os.open(go_on, os.O_WRONLY))
            assert "1 worker replaced" in reload.stdout.read()


def test_a_configuration_that_is_wrong_changes_nothing(tmp_path: Path, project: Path) -> None:
    """The sentence is that which `serve` would have said."""
    file = tmp_path / "env"
    file.write_text("")
    options = ["--env-file", str(file)]
    with towpath_serve("small", run_dir=tmp_path, app_dir=project, options=options) as server:
        before = workers(server)
        file.write_text("TOWPATH_THREADS=many\n")
        ended = towpath(server, "reload")
        assert ended.returncode == 1
        assert f"Invalid value for 'TOWPATH_THREADS in {file}': 'many' is not a whole number" in ended.stderr
        assert workers(server) == before


def test_scale_adds_and_takes_away_and_no_request_fails(tmp_path: Path, project: Path) -> None:
    """Both kinds; up to the maximum, which is said."""
    with towpath_serve("small", run_dir=tmp_path, app_dir=project, options=["--workers-max", "3"]) as server:
        with asked(server):
            assert towpath(server, "scale", "worker=3", "interface=2").returncode == 0
            assert (len(workers(server)), len(processes(server, "interface"))) == (3, 2)
            assert towpath(server, "scale", "worker=1").returncode == 0
            assert (len(workers(server)), len(processes(server, "interface"))) == (1, 2)
        beyond = towpath(server, "scale", "worker=4")
        assert beyond.returncode == 1
        assert "worker=4: from 0 to 3" in beyond.stderr


def test_serve_goes_on_where_it_cannot_write_down_how_many_there_ought_to_be(tmp_path: Path, project: Path) -> None:
    """P12. A full disk costs `status` a line, and no worker; it is written when it can be."""
    with towpath_serve("small", run_dir=tmp_path, app_dir=project) as server:
        in_the_way = server.run_dir / "run" / f".facts.json.{server.process.pid}.draft"
        in_the_way.mkdir()
        assert towpath(server, "scale", "worker=2").returncode == 0
        assert towpath(server, "reload").returncode == 0
        assert len(workers(server)) == 2
        in_the_way.rmdir()
        facts = server.run_dir / "run" / "facts.json"
        wait_until(lambda: json.loads(facts.read_text()).get("wanted") == {"interface": 1, "worker": 2})


def test_without_a_worker_requests_wait_for_one(tmp_path: Path, project: Path) -> None:
    """Scaled to nothing and back: nothing is lost, and sockets have their interface server all the while."""
    with towpath_serve("small", run_dir=tmp_path, app_dir=project) as server:
        assert towpath(server, "scale", "worker=0").returncode == 0
        assert not workers(server)
        answers: list[str] = []
        client = threading.Thread(target=lambda: answers.append(httpx.get(server.url, **PLAIN, timeout=30).text))
        client.start()
        assert towpath(server, "scale", "worker=1").returncode == 0
        client.join()
        assert answers[0].startswith("first")


LIMITS = {
    "connections": ["--limit-max-requests", "20", "--limit-max-requests-jitter", "5"],
    "age": ["--max-worker-age", "2"],
    "memory": ["--max-worker-rss", "1MiB"],
}


@pytest.mark.parametrize("what", LIMITS)
def test_a_worker_that_has_lived_long_enough_is_replaced_and_no_request_fails(
    tmp_path: Path, project: Path, what: str
) -> None:
    """P7. Its successor is there first; all of them, again and again."""
    options = ["--workers", "2", *LIMITS[what]]
    with towpath_serve("small", run_dir=tmp_path, app_dir=project, options=options) as server:
        before = workers(server)
        with asked(server):
            wait_until(lambda: not before & workers(server), "all are replaced", 40)
            wait_until(lambda: server.log.count("asks for its successor: ") >= 3, "and again", 40)


def test_a_worker_that_runs_alone_leaves_when_it_has_lived_long_enough(tmp_path: Path, project: Path) -> None:
    """Exit code 0: its supervisor (Kubernetes, systemd) starts the next."""
    with redis_server(tmp_path / "redis") as redis:
        options = ["--max-worker-age", "1"]
        with towpath_worker("small", redis_url(redis), run_dir=tmp_path, app_dir=project, options=options) as server:
            assert server.process.wait(20) == 0, server.log
            assert "this worker leaves: 1 s old (--max-worker-age)" in server.log


def test_a_reload_that_comes_too_early_waits_and_one_that_comes_too_late_is_told(tmp_path: Path, project: Path) -> None:
    """Before all processes are ready it is held; when `serve` ends, no request waits for ever."""
    file = project / "small.py"
    file.write_text(f"import os, time\nwhile os.path.exists({str(tmp_path / 'wait')!r}): time.sleep(0.05)\n{APP}")
    listens = (tmp_path / "run" / "control.sock").exists
    with towpath_serve("small", run_dir=tmp_path, app_dir=project, ready=lambda _: listens()) as server:
        assert "ready after" not in server.log
        assert towpath(server, "reload").returncode == 0
        (tmp_path / "wait").touch()
        command = [BIN / "towpath", "reload", "--run-dir", tmp_path / "run"]
        waiting = subprocess.Popen(command, env=environment({}), stderr=subprocess.PIPE, text=True)
        wait_until(lambda: "--check" in children(server))
        server.process.terminate()
        assert waiting.communicate(timeout=30)[1] == "towpath: `towpath serve` has ended\n"
        assert waiting.returncode == 1
        assert server.process.wait(20) == 0


def test_changes_while_workers_are_replaced_are_one_more_reload_at_its_end(tmp_path: Path, project: Path) -> None:
    """--reload, and an editor that saves five times: not a queue of five, and the last code is served."""
    file, begun, gate = project / "small.py", tmp_path / "begun", tmp_path / "gate"
    complete = 'await send({"type": "lifespan.startup.complete"})'
    waits = f"""import asyncio, pathlib
        pathlib.Path({str(begun)!r}).touch()
        while not os.path.exists({str(gate)!r}): await asyncio.sleep(0.05)
        """
    with towpath_serve("small", run_dir=tmp_path, app_dir=project, options=["--reload"]) as server:
        file.write_text(APP.replace("first", "second").replace(complete, waits + complete))
        wait_until(begun.exists, "the first successor starts")
        for number in range(5):
            file.write_text(APP.replace("first", f"save-{number}"))
            wait_until(lambda number=number: server.log.count("changed: ") >= number + 2, "it is seen")
        with server.connect(timeout_s=30) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            gate.touch()
            assert b"save-4 " in client.recv(4096), "the first successor was old when it could have served"
        wait_until(lambda: server.log.count("1 worker replaced in") == 2, "one more reload", 30)
        assert towpath(server, "reload").returncode == 0
        assert server.log.count("replaced in") == 3


def children(server: Server) -> str:
    """The command lines of the processes that `serve` itself has started."""
    pids = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    lines = []
    for pid in pids:
        with contextlib.suppress(OSError):
            lines.append(Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " "))
    return "\n".join(lines)
