"""What becomes of children that an application forks: they are processes of their own, and never a second worker."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.plain_http import PLAIN
from tests.support.serving import BIN, Server, environment, towpath_serve

#: Each path is a function of this module, which runs in the request.
APP = """
import asyncio, json, multiprocessing, os, signal, socket, subprocess, sys, time
from concurrent.futures import ProcessPoolExecutor

from asgiref.sync import async_to_sync, sync_to_async
from channel_layer import LayerUnavailable, get_channel_layer

#: Its child goes on with the import, and would be a second worker.
AT_IMPORT = os.fork() if "SUPERVISOR_PROCESS_NAME" in os.environ else None
FORKS = multiprocessing.get_context("fork")

async def worker():
    return os.getpid()

async def process():
    child = FORKS.Process(target=time.sleep, args=(60,))
    child.start()
    os.kill(child.pid, signal.SIGTERM)
    await asyncio.to_thread(child.join)
    return child.exitcode

async def pool():
    with FORKS.Pool(2) as pool:
        return await asyncio.to_thread(pool.map, abs, [-1, -2])

def die():
    os.kill(os.getpid(), signal.SIGKILL)

async def executor():
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(2, mp_context=FORKS) as executor:
        try:
            await loop.run_in_executor(executor, die)
        except Exception as error:
            return type(error).__name__

def has():
    found = {"handlers": [signal.getsignal(number) is ours for number, ours in HANDLERS], "peers": []}
    for number in map(int, os.listdir("/proc/self/fd")):
        try:
            with socket.socket(fileno=os.dup(number)) as one:
                found["peers"].append(one.getpeername())
        except OSError:
            pass
    try:
        async_to_sync(get_channel_layer().group_send)("group", {"type": "websocket.send", "text": "x"})
    except LayerUnavailable:
        found["layer"] = "unavailable"
    return found

HANDLERS = ((signal.SIGTERM, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler))

def tell(pipe):
    pipe.send(has())

def what_a_child_has():
    hears, says = FORKS.Pipe()
    child = FORKS.Process(target=tell, args=(says,))
    child.start()
    child.join()
    return hears.recv()

async def on_the_loop():
    return what_a_child_has()

async def in_a_kept_thread():
    return await sync_to_async(what_a_child_has)()

async def in_another_thread():
    return await asyncio.to_thread(what_a_child_has)

LIST = "import json, os; print(json.dumps([number for number in range(3, 99) if os.path.exists(f'/proc/self/fd/{number}')]))"

async def command():
    return json.loads(subprocess.run([sys.executable, "-c", LIST], stdout=subprocess.PIPE, close_fds=False).stdout)

async def status_of(pid):
    return os.waitstatus_to_exitcode((await asyncio.to_thread(os.waitpid, pid, 0))[1])

async def returns():
    return await status_of(pid) if (pid := os.fork()) else None

async def goes_on():
    others = [asyncio.create_task(note("another task")) for _ in range(9)]
    if pid := os.fork():
        return await status_of(pid)
    await asyncio.sleep(0)
    await note("beyond an await")

async def note(what):
    if os.getpid() != WORKER:
        print("CHILD RUNS", what, flush=True)

async def returns_at_import():
    return await status_of(AT_IMPORT)

async def raises():
    if pid := os.fork():
        return await status_of(pid)
    raise LookupError("of the child")

async def exits():
    if pid := os.fork():
        return await status_of(pid)
    sys.exit(7)

async def exits_in_a_task():
    return await asyncio.create_task(exits())

def forks(end):
    return os.fork() or end()

async def returns_in_a_kept_thread():
    return await status_of(await sync_to_async(forks)(int))

async def exits_in_a_kept_thread():
    return await status_of(await sync_to_async(forks)(lambda: sys.exit(7)))

async def returns_in_another_thread():
    return await status_of(await asyncio.to_thread(forks, int))

async def reads():
    try:
        return input("a name, please: ")
    except EOFError:
        return "end of file"

WORKER = os.getpid()

async def application(scope, receive, send):
    if scope["type"] == "http":
        answer = await globals()[scope["path"][1:]]()
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})
"""

Ask = Callable[[str], Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("forks")
    (folder / "small.py").write_text(APP)
    with towpath_serve("small", run_dir=folder, app_dir=folder) as server:
        yield server


@pytest.fixture
def ask(server: Server) -> Iterator[Ask]:
    """Ask for what a function of the application says. The worker is the same at the end, and it takes requests."""

    def answer(name: str) -> Any:
        response = httpx.get(f"{server.url}/{name}", **PLAIN, timeout=20)
        assert response.status_code == 200, response.text
        return response.json()

    before = answer("worker")
    yield answer
    assert answer("worker") == before


@pytest.mark.parametrize(
    ("name", "answer"), [("process", -15), ("pool", [1, 2]), ("executor", "BrokenProcessPool")], ids=str
)
def test_a_signal_to_a_forked_child_is_none_to_its_worker(ask: Ask, name: str, answer: object) -> None:
    """Also one that comes before the child has run its first line; `multiprocessing` ends its processes by SIGTERM."""
    assert ask(name) == answer


@pytest.mark.parametrize("where", ["on_the_loop", "in_a_kept_thread", "in_another_thread"])
def test_a_forked_child_has_no_connection_and_no_handler_of_its_worker(ask: Ask, where: str) -> None:
    """Redis sees the end of a worker's connections when the worker closes them; and no other process sends anything in its name."""
    found = ask(where)
    assert not [peer for peer in found["peers"] if "redis" in str(peer)]
    assert found["handlers"] == [True, True]
    assert found["layer"] == "unavailable"


def test_a_command_inherits_no_descriptor_of_its_worker(ask: Ask) -> None:
    """Not even one that is started with `close_fds=False`."""
    assert ask("command") == []


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ("returns_at_import", 1),
        ("returns", 1),
        ("goes_on", 1),
        ("raises", 1),
        ("exits", 7),
        ("exits_in_a_task", 7),
        ("returns_in_a_kept_thread", 1),
        ("exits_in_a_kept_thread", 7),
        ("returns_in_another_thread", 1),
    ],
)
def test_a_forked_child_that_comes_back_from_the_application_is_ended(
    ask: Ask, server: Server, how: str, status: int
) -> None:
    """It would be a second worker with the requests of the first. Nothing of them runs in it."""
    assert ask(how) == status
    assert "CHILD RUNS" not in server.log


@pytest.mark.parametrize(("how", "status"), [("sys.exit(7)", 7), ("raise LookupError", 1)])
def test_a_child_that_is_forked_at_import_ends_with_it(tmp_path: Path, how: str, status: int) -> None:
    """The loop is there already: a child that closed it would deafen its parent. Nor does it say that the application is broken."""
    (tmp_path / "small.py").write_text(
        f"import os, sys\n"
        f"child = os.fork()\n"
        f"if child == 0: {how}\n"
        f"print('ended with', os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        f"async def application(scope, receive, send): ...\n"
    )
    command = [BIN / "towpath", "worker", "small", "--check", "--app-dir", tmp_path]
    done = subprocess.run(command, env=environment({}), capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"ended with {status}\n")
    assert "towpath: " not in done.stderr


def test_standard_input_is_at_its_end_where_there_is_no_terminal(ask: Ask) -> None:
    """`input()` and `breakpoint()` fail at once; the pipe that a supervisor gives to its processes never ends."""
    assert ask("reads") == "end of file"
