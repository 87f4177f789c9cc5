"""`towpath serve` from its first line to its last, with real processes."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.promises.fleet import leases
from tests.support.facts import wait_until
from tests.support.plain_http import PLAIN
from tests.support.redis_server import RedisServer
from tests.support.serving import (
    BIN,
    Server,
    all_stand,
    end_by_force,
    environment,
    free_port,
    is_ready,
    processes_of,
    recorded,
    running,
    towpath_serve,
)
from towpath.runtime import run_dir
from towpath.runtime.handed_down import HANDED_DOWN

APP = """
import os, subprocess
WORD = "first"
async def application(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    if scope["path"] == "/die":
        os._exit(1)
    body = f"{WORD} {os.getpid()}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
"""


def ask(server: Server, path: str = "/") -> str:
    """The text of one answer."""
    answer = httpx.get(server.url + path, **PLAIN, timeout=20)
    assert answer.status_code == 200, server.log
    return answer.text


def pid_of(server: Server, name: str) -> int | None:
    """The process that has this slot now."""
    return recorded(server.run_dir / "run" / "pids" / name)


def status_of(server: Server) -> dict[str, list[dict[str, object]]]:
    """`towpath status --json` of a running serve."""
    command = [BIN / "towpath", "status", "--json", "--run-dir", server.run_dir / "run"]
    said: dict[str, list[dict[str, object]]] = json.loads(subprocess.check_output(command, env=environment({})))
    return said


def takes_nothing(server: Server) -> bool:
    """True if every worker reports no free capacity."""
    free = [lease["free"] for lease in leases(server) if lease["role"] == "worker"]
    return bool(free) and not any(any(each.values()) for each in free)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A `serve` with one interface server and two workers, for tests that need nothing special."""
    project = tmp_path_factory.mktemp("project")
    (project / "small.py").write_text(APP)
    options = ["--workers", "2"]
    with towpath_serve("small", run_dir=tmp_path_factory.mktemp("shared"), app_dir=project, options=options) as server:
        yield server


def test_the_first_lines_say_what_is_served_and_every_line_says_who_speaks(shared: Server) -> None:
    """URL, numbers, Redis, when the interface server accepts clients; all others are lines with names."""
    ask(shared)
    shared.wait_for_log('"GET / HTTP/1.1" 200')
    lines = shared.log.splitlines()
    greeting = lines.index(f"Towpath serves small at {shared.url}/")
    second = lines[greeting + 1]
    assert "ready after" in next(line for line in lines[greeting + 2 :] if line.startswith("serve "))
    slow = ("still loading small …", "still starting small …")  # a machine that takes so long shows what it is doing
    others = [line for line in (*lines[:greeting], *lines[greeting + 2 :]) if line not in slow]
    assert re.match(r"  1 interface server, 2 workers, embedded \S+-server", second)
    assert all(re.match(r"(serve|supervisord|redis|interface-\d|worker-\d) +\| ", line) for line in others)


def test_status_shows_all_who_are_alive(tmp_path: Path, project: Path) -> None:
    """It finds the Redis of a `serve` by its run folder."""
    options = ["--workers", "2", "--interfaces", "2"]
    with towpath_serve("small", run_dir=tmp_path, app_dir=project, options=options) as server:
        roles = sorted(str(process["role"]) for process in status_of(server)["processes"])
        assert roles == ["interface", "interface", "worker", "worker"]
        frozen = pid_of(server, "worker-1")
        os.kill(frozen, signal.SIGSTOP)
        found = f"worker-1 (pid {frozen}) runs and has no lease"
        wait_until(lambda: [each["sentence"] for each in status_of(server)["findings"]] == [found], "it is found")
        os.kill(frozen, signal.SIGCONT)


def test_status_of_a_serve_does_not_look_elsewhere(tmp_path: Path, project: Path, redis_server: RedisServer) -> None:
    """Its Redis is in the environment, where a password is best given; its prefix is not."""
    here, options = {"TOWPATH_REDIS": redis_server.url}, ["--prefix", f"{tmp_path.name}:"]
    with towpath_serve("small", run_dir=tmp_path, app_dir=project, options=options, env=here):
        command = [BIN / "towpath", "status", "--json"]
        by_folder = subprocess.check_output([*command, "--run-dir", tmp_path / "run"], env=environment(here))
        assert {row["role"] for row in json.loads(by_folder)["processes"]} == {"interface", "worker"}
        nowhere = {**here, "TOWPATH_RUN_DIR": str(tmp_path / "nowhere"), "TOWPATH_PREFIX": f"{tmp_path.name}:"}
        by_redis = subprocess.check_output(command, env=environment(nowhere))
        assert len(json.loads(by_redis)["processes"]) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_stops_everything_and_leaves_nothing(tmp_path: Path, project: Path, number: signal.Signals) -> None:
    """Exit code 0; no process, no socket, no run folder."""
    with towpath_serve("small", run_dir=tmp_path, app_dir=project, options=["--workers", "2"]) as server:
        ask(server)
        server.process.send_signal(number)
        assert server.process.wait(20) == 0
        assert processes_of(server.process.pid) == []
        assert not (tmp_path / "run").exists()


def test_a_serve_on_any_free_port_is_found_by_the_port_that_it_says(tmp_path: Path, project: Path) -> None:
    """The first line has all that is needed to reload and stop it, without a --run-dir."""
    runtime = Path(tempfile.mkdtemp(prefix="towpath-"))  # tmp_path is too long for the sockets in the folders below it
    here = {"XDG_RUNTIME_DIR": str(runtime)}
    command = [BIN / "towpath", "serve", "small", "--port", "0", "--app-dir", project]

    def command_for(port: str, word: str) -> subprocess.CompletedProcess[str]:
        words = [BIN / "towpath", word, "--port", port]
        return subprocess.run(words, env=environment(here), capture_output=True, text=True, timeout=180)

    with running("serve", command, run_dir=tmp_path, env=here, ready=all_stand) as server:
        said = re.search(r"^Towpath serves small at http://127\.0\.0\.1:(\d+)/\n", server.log, re.MULTILINE)
        assert said is not None, server.log
        assert httpx.get(f"http://127.0.0.1:{said[1]}/", **PLAIN, timeout=20).text.startswith("first")
        assert "interface" in command_for(said[1], "status").stdout
        assert "1 worker replaced" in command_for(said[1], "reload").stdout
        assert command_for(said[1], "stop").returncode == 0
        assert server.process.wait(20) == 0
        runtime.rmdir()  # nothing is left in it


def test_stop_stops_a_running_serve_and_waits_for_its_end(tmp_path: Path, project: Path) -> None:
    """By its port: its run folder is another one than the default of the port, which leads to it."""
    with towpath_serve("small", run_dir=tmp_path, app_dir=project) as server:
        for word, says in (("status", "worker"), ("stop", "")):
            command = [BIN / "towpath", word, "--port", str(server.port)]
            asked = subprocess.run(command, env=environment({}), timeout=30, capture_output=True, text=True)
            assert (asked.returncode, says in asked.stdout) == (0, True), asked.stderr
        assert server.process.wait(20) == 0


@pytest.mark.parametrize("name", ["worker-0", "interface-0"])
def test_a_process_that_was_killed_comes_back(shared: Server, name: str) -> None:
    """And requests are answered again: by that worker, or by way of the only interface server."""
    killed = pid_of(shared, name)
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: pid_of(shared, name) not in (None, killed))

    def answered() -> bool:
        try:
            return ask(shared).split()[-1] == str(pid_of(shared, "worker-0"))
        except (httpx.TransportError, AssertionError):
            return False

    wait_until(answered)


def test_a_worker_that_can_start_no_more_is_tried_after_pauses(tmp_path: Path, project: Path) -> None:
    """Loading takes longer than supervisord counts tries, as it does with any real application: no loop, one line each time."""
    slow = "import select\nselect.select([], [], [], 1.2)\n"
    with towpath_serve("small", run_dir=tmp_path, app_dir=project) as server:
        killed = pid_of(server, "worker-0")
        assert killed is not None
        (project / "small.py").write_text(f"{slow}raise RuntimeError('no database')\n")
        os.kill(killed, signal.SIGKILL)
        for times in (1, 2):
            wait_until(lambda times=times: server.log.count("does not stay alive") >= times, f"try {times}", 30)
            assert server.log.count("towpath: importing 'small' raised RuntimeError: no database") == times
        wait_until(lambda: all(lease["role"] != "worker" for lease in leases(server)), "the lease is over")
        status = [BIN / "towpath", "status", "--run-dir", server.run_dir / "run"]
        wait_until(
            lambda: (
                b"there are 0 workers, and serve was asked for 1"
                in subprocess.check_output(status, env=environment({}))
            )
        )
        (project / "small.py").write_text(APP)
        assert ask(server).startswith("first")


def test_nobody_is_started_while_redis_is_away_and_all_are_when_it_is_back(
    tmp_path: Path, project: Path, own_redis: RedisServer
) -> None:
    """P9. Each start would wait for Redis and fail, and the pauses between them would grow."""
    options = ["--redis", own_redis.url, "--workers", "2", "--redis-wait", "1"]
    with towpath_serve("small", run_dir=tmp_path, app_dir=project, options=options) as server:
        own_redis.stop()
        both = "worker-0", "worker-1"
        for killed in [pid_of(server, name) for name in both]:
            assert killed is not None
            os.kill(killed, signal.SIGKILL)
        for name in both:
            said = re.compile(rf"{name} +\| towpath: Redis at .* is unreachable")
            wait_until(lambda said=said: said.search(server.log), f"{name} has tried in vain", 30)
        assert "does not stay alive" not in server.log
        own_redis.start()
        wait_until(lambda: server.log.count("does not stay alive") == 2, "both are started", 30)
        assert ask(server).startswith("first")


def test_a_killed_serve_takes_its_processes_with_it(tmp_path: Path, project: Path) -> None:
    """The system tells the supervisor, and the supervisor ends the rest. The next `serve` clears the folder."""
    with towpath_serve("small", run_dir=tmp_path, app_dir=project, exit_codes=(-9,)) as server:
        server.process.kill()
        server.process.wait()
        wait_until(lambda: not processes_of(server.process.pid))
    assert (tmp_path / "run").exists()
    assert run_dir.facts(tmp_path / "run") is None
    with towpath_serve("small", run_dir=tmp_path, app_dir=project) as server:
        assert ask(server).startswith("first")
    assert not (tmp_path / "run").exists()


def test_a_killed_supervisor_ends_everything(tmp_path: Path, project: Path) -> None:
    """Exit code 1 and a sentence: a supervisor of `serve` starts it again. No process holds the port any more."""
    with towpath_serve("small", run_dir=tmp_path, app_dir=project, exit_codes=(1,)) as server:
        supervisor = pid_of(server, "supervisord")
        assert supervisor is not None
        os.kill(supervisor, signal.SIGKILL)
        assert server.process.wait(20) == 1
        assert "the supervisor has died" in server.log
        assert processes_of(server.process.pid) == []
        socket.create_server(("127.0.0.1", server.port)).close()


def test_a_run_folder_that_vanishes_ends_serve_with_a_word(tmp_path: Path, project: Path) -> None:
    """P12. A cleaner of temporary files: processes that die could not be started again. Exit code 1, and no process is left.

    Running exchanges are finished, unless the operator asks again.
    """
    go_on = tmp_path / "go on"
    waits = (
        f"while scope['query_string'] or not os.path.exists({str(go_on)!r}): await __import__('asyncio').sleep(0.05)"
    )
    (project / "small.py").write_text(APP.replace("os._exit(1)", waits))
    options = ["--timeout-graceful-shutdown", "300"]
    how = {"app_dir": project, "options": options, "exit_codes": (1,)}
    with towpath_serve("small", run_dir=tmp_path, **how) as server, server.connect() as short, server.connect() as long:
        for client, path in ((short, "/die"), (long, "/die?long")):
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        wait_until(lambda: any(lease.get("connections") == 2 for lease in leases(server)))
        shutil.rmtree(tmp_path / "run")
        server.wait_for_log(f"the run folder {tmp_path}/run has lost")
        go_on.touch()
        assert short.recv(16).startswith(b"HTTP/1.1 200"), server.log
        server.process.send_signal(signal.SIGTERM)  # it is stopping already
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(20) == 1
        assert "Traceback" not in server.log
        assert processes_of(server.process.pid) == []


def test_an_application_that_loads_and_cannot_start_ends_serve(tmp_path: Path, project: Path) -> None:
    """P12. The check beforehand cannot know it: the lifespan says it. Exit code 3, no restart loop."""
    (project / "small.py").write_text(
        "async def application(scope, receive, send): raise RuntimeError('no lifespan')\n"
    )
    command = [BIN / "towpath", "serve", "small", "--lifespan", "on", "--port", "0", "--app-dir", project]
    ended = subprocess.run(
        [*command, "--run-dir", tmp_path / "run"], env=environment({}), capture_output=True, text=True, timeout=180
    )
    assert ended.returncode == 3, ended.stdout
    assert "worker-0 could not start" in ended.stdout
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("bytes_max", [0, 2, 30, 300], ids="no file grows beyond {}".format)
def test_a_run_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path, project: Path, bytes_max: int) -> None:
    """P12. As on a full disk: whichever file it is that cannot be written, nothing is left. Exit code 3."""
    command = [
        BIN / "towpath",
        "serve",
        "small",
        "--port",
        "0",
        "--app-dir",
        project,
        "--run-dir",
        tmp_path / "a" / "run",
    ]
    limited = [sys.executable, "-c", LIMITED.format(bytes_max=bytes_max), *command]
    ended = subprocess.run(limited, env=environment({}), capture_output=True, text=True, timeout=180)
    sentence = (
        f"towpath: the run folder {tmp_path / 'a' / 'run'} cannot be used: File too large; use another --run-dir\n"
    )
    assert (ended.returncode, ended.stderr) == (3, sentence), ended.stdout
    assert not (tmp_path / "a").exists()


#: Becomes a command that cannot write files of more than a few bytes.
LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, ({bytes_max}, {bytes_max}))
os.execv(sys.argv[1], sys.argv[1:])
"""

STARTUP = """
import asyncio, os, signal, sys
async def application(scope, receive, send):
    await receive()
    print("starting", flush=True)
    {what}
"""


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("await asyncio.sleep(1.5); os._exit(1)", "left with exit status 1 while it started: giving up"),
        ("await asyncio.sleep(1.5); os._exit(0)", "left with exit status 0 while it started: giving up"),
        ("await asyncio.sleep(1.5); os.kill(os.getpid(), 11)", "was ended by SIGSEGV while it started: giving up"),
        ("sys.exit(5)", "could not start: the application's lifespan startup called sys.exit(5): giving up"),
    ],
)
def test_a_worker_that_ends_while_it_starts_ends_serve(tmp_path: Path, project: Path, what: str, sentence: str) -> None:
    """P12. supervisord takes a process that lives for a second for started, and would start it again for ever."""
    (project / "small.py").write_text(STARTUP.format(what=what))
    command = [BIN / "towpath", "serve", "small", "--port", "0", "--app-dir", project, "--run-dir", tmp_path / "run"]
    ended = subprocess.run(command, env=environment({}), capture_output=True, text=True, timeout=180)
    assert ended.returncode == 3, ended.stdout
    assert f"worker-0 {sentence}" in ended.stdout
    assert not (tmp_path / "run").exists()


def test_a_signal_while_the_application_starts_waits_for_nobody(tmp_path: Path, project: Path) -> None:
    """A worker that has nothing in hand leaves at once, whatever its graceful time."""
    (project / "small.py").write_text(STARTUP.format(what="await asyncio.Event().wait()"))
    options = ["--timeout-graceful-shutdown", "300"]
    starting = {"ready": lambda server: "starting" in server.log}
    with towpath_serve("small", run_dir=tmp_path, app_dir=project, options=options, **starting) as server:
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
        assert "SIGKILL" not in server.log


@pytest.mark.parametrize("everybody", [False, True], ids=["from a program", "from a terminal"])
def test_who_waits_long_for_the_application_is_told_and_may_leave(
    tmp_path: Path, project: Path, everybody: bool
) -> None:
    """Exit code 130 after Ctrl-C, and no traceback."""
    (project / "small.py").write_text("import time\ntime.sleep(600)\n")
    loading = {"ready": lambda server: "still loading small …" in server.log, "exit_codes": (130,)}
    with towpath_serve("small", run_dir=tmp_path, app_dir=project, **loading) as server:
        (os.killpg if everybody else os.kill)(server.process.pid, signal.SIGINT)
        assert server.process.wait(20) == 130
        assert "Traceback" not in server.log


def test_a_second_signal_does_not_wait_for_what_is_under_way(tmp_path: Path, project: Path) -> None:
    """The first one waits for the application, the second for nothing."""
    (project / "small.py").write_text(APP.replace("os._exit(1)", "__import__('time').sleep(600)"))
    options = ["--timeout-graceful-shutdown", "300"]
    with towpath_serve("small", run_dir=tmp_path, app_dir=project, options=options) as server:
        with server.connect() as client:
            client.sendall(b"GET /die HTTP/1.1\r\nHost: x\r\n\r\n")
            wait_until(lambda: any(row.get("connections") for row in status_of(server)["processes"]))
            server.process.send_signal(signal.SIGTERM)
            server.wait_for_log("once more to stop at once")
            server.process.send_signal(signal.SIGTERM)  # so shortly after the first it is an echo of that
            server.process.send_signal(signal.SIGINT)
            assert server.process.wait(20) == 0
        assert processes_of(server.process.pid) == []


def test_a_changed_file_is_served_by_new_workers_and_a_broken_one_is_not(tmp_path: Path, project: Path) -> None:
    """P7. --reload: no answer by old code once a file has changed; a mistake costs no client its answer."""
    app, gate = project / "small.py", tmp_path / "gate"
    os.mkfifo(gate)
    with towpath_serve("small", run_dir=tmp_path, app_dir=project, options=["--reload"]) as server:
        supervisor, interface = pid_of(server, "supervisord"), pid_of(server, "interface-0")
        app.write_text(f"open({str(gate)!r}).close()\n{APP.replace('first', 'second')}")
        wait_until(lambda: takes_nothing(server), "the old worker is paused")
        with server.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            wait_until(lambda: status_of(server)["queues"][0]["depth"] == 1, "it waits in the queue")
            os.close(os.open(gate, os.O_WRONLY))
            assert b"second" in client.recv(4096)
        server.wait_for_log("worker-1 serves, worker-0 leaves")
        app.write_text("syntax error")
        server.wait_for_log("; the old ones stay")
        assert ask(server).startswith("second")
        app.write_text(APP.replace("first", "third"))
        wait_until(lambda: ask(server).startswith("third"))
        assert (pid_of(server, "supervisord"), pid_of(server, "interface-0")) == (supervisor, interface)


def test_sighup_replaces_the_workers_and_nothing_else(tmp_path: Path, project: Path) -> None:
    """It never reaches supervisord, which would restart everything."""
    with towpath_serve("small", run_dir=tmp_path, app_dir=project) as server:
        interface, before = pid_of(server, "interface-0"), ask(server)
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_log("1 worker replaced")
        wait_until(lambda: ask(server) != before)
        assert pid_of(server, "interface-0") == interface


def fill(pipe: Path) -> None:
    """Let every writer to it wait from now on."""
    descriptor = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while os.write(descriptor, bytes(4096)):
            pass
    os.close(descriptor)


STUCK = "a pipe is full and not read"
DEAF = {
    "everything is closed": '"$@" <&- >&- 2>&-',
    "the disk is full": '"$@" >/dev/full 2>&1',
    "the reader of a pipe has gone": '"$@" >{pipe} 2>&1',
    STUCK: '"$@" >{pipe} 2>&1',
}


@pytest.mark.parametrize("how", DEAF)
def test_nobody_has_to_listen_to_what_serve_says(tmp_path: Path, project: Path, how: str) -> None:
    """P12. A log that cannot be written is no reason to stop serving, replacing workers, or ending properly."""
    pipe, port = tmp_path / "pipe", free_port()
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    if how == STUCK:
        fill(pipe)
    words = [
        BIN / "towpath",
        "serve",
        "small",
        "--port",
        str(port),
        "--app-dir",
        project,
        "--run-dir",
        tmp_path / "run",
    ]
    command = ["sh", "-c", f"exec {DEAF[how].format(pipe=pipe)}", "sh", *words]
    stands = (tmp_path / "run" / "control.sock").is_socket
    with running("serve", command, run_dir=tmp_path, port=port, ready=lambda _: stands()) as server:
        if how != STUCK:
            os.close(reader)
        wait_until(lambda: is_ready(server))
        before = ask(server)
        reload = [BIN / "towpath", "reload", "--run-dir", tmp_path / "run"]
        subprocess.run(reload, env=environment({}), check=True, timeout=60, stdout=subprocess.DEVNULL)
        assert ask(server) != before


def test_a_unix_socket_is_open_to_the_proxy_and_gone_afterwards(tmp_path: Path, project: Path) -> None:
    """0666, as uvicorn has it: a proxy runs as another user."""
    path = tmp_path / "s.sock"
    command = [BIN / "towpath", "serve", "small", "--uds", path, "--app-dir", project, "--run-dir", tmp_path / "run"]

    def text() -> str | None:
        try:
            with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
                return client.get("http://x/", timeout=20).text
        except httpx.TransportError:
            return None

    with running("serve", command, run_dir=tmp_path, ready=lambda _: text() is not None):
        assert path.stat().st_mode & 0o777 == 0o666
        words = [*command[:-1], tmp_path / "run2"]
        refused = subprocess.run(words, env=environment({}), capture_output=True, text=True, timeout=180)
        assert (refused.returncode, "another process listens" in refused.stderr) == (3, True), refused.stderr
        assert text() is not None, "it has taken away nothing of the one that serves there"
    assert not path.exists()


@pytest.mark.parametrize("how", ["--fd", "::"])
def test_what_supervisord_cannot_listen_on_is_handed_down(tmp_path: Path, project: Path, how: str) -> None:
    """An inherited descriptor, and IPv6, which is of both families where it is everywhere; two interface servers share it."""
    family, host = (socket.AF_INET, "127.0.0.1") if how == "--fd" else (socket.AF_INET6, how)
    with socket.create_server((host, 0), family=family) as listener:
        port = listener.getsockname()[1]
        place = ["--fd", str(listener.fileno())] if how == "--fd" else ["--host", how, "--port", str(port)]
        if how != "--fd":
            listener.close()
        command = [BIN / "towpath", "serve", "small", *place, "--interfaces", "2", "--app-dir", project]
        log_path = tmp_path / "serve.log"
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                [*command, "--run-dir", tmp_path / "run"],
                env=environment({}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[listener.fileno()] if how == "--fd" else [],
                start_new_session=True,
            )
        server = Server("serve", process, log_path, tmp_path, host=host, port=port)
        try:
            server.wait_for_log("ready after")
            for shown in ("127.0.0.1",) if how == "--fd" else ("127.0.0.1", "[::1]"):
                assert httpx.get(f"http://{shown}:{port}/", **PLAIN, timeout=20).text.startswith("first")
                server.wait_for_log(f"{shown.strip('[]')}:")  # and not ::ffff:127.0.0.1
            assert "::ffff:" not in server.log
            for other in ("worker-0", "redis"):
                inherited = os.listdir(f"/proc/{pid_of(server, other)}/fd")
                assert max(map(int, inherited)) < HANDED_DOWN, "it would go on listening after serve has ended"
            process.terminate()
            assert process.wait(20) == 0, server.log
        finally:
            end_by_force(server)
