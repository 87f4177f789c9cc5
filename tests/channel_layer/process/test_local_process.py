"""Who is told of the death of a process on this machine: real processes, no Redis."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from channel_layer.process.local_process import DeathWatch, born, identity
from tests.support.facts import until


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives until it is killed."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


@pytest.fixture
async def told() -> list[str]:
    return []


@pytest.fixture
async def watch(told: list[str]) -> Any:
    watch = DeathWatch(told.append)
    yield watch
    watch.close()


def facts_of(child: subprocess.Popen[bytes]) -> dict[str, Any]:
    return {**identity(), "pid": child.pid, "born": born(child.pid)}


async def test_a_death_is_told_once(child: subprocess.Popen[bytes], watch: DeathWatch, told: list[str]) -> None:
    """P6, P8. However often one is asked to watch."""
    for _ in range(2):
        watch.watch("worker.a", facts_of(child))
    assert watch.watched() == ["worker.a"]
    child.kill()
    await until(lambda: told == ["worker.a"])
    assert watch.watched() == []


@pytest.mark.parametrize("reaped", [False, True])
async def test_who_has_died_before_anybody_watched_is_told_too(
    child: subprocess.Popen[bytes], watch: DeathWatch, told: list[str], reaped: bool
) -> None:
    """P6. It took a connection and died of it, and its lease is there for some seconds more."""
    facts = facts_of(child)
    child.kill()
    if reaped:
        child.wait()
    watch.watch("worker.a", facts)
    await until(lambda: told == ["worker.a"])


@pytest.mark.parametrize(
    "other", [{"machine": "elsewhere"}, {"machine": ""}, {"pid": None}, {"pid": 2**40}, {"pid": -1}, {"born": 1}]
)
def test_of_whom_nobody_can_be_sure_nothing_is_told(
    child: subprocess.Popen[bytes], watch: DeathWatch, told: list[str], other: dict[str, Any]
) -> None:
    """P6. One that is elsewhere, or whose number another process has, is left to its lease."""
    watch.watch("worker.a", {**facts_of(child), **other})
    assert (watch.watched(), told) == ([], [])


FIRST_THREAD_ENDS = """
import ctypes, socket, threading
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
threading.Thread(target=threading.Event().wait, daemon=True).start()
ctypes.PyDLL(None).pthread_exit(None)
"""


async def test_a_process_runs_until_its_last_thread_has_ended() -> None:
    """The kernel ends the threads of a killed process one by one. The first may be gone while another has the sockets still."""
    process = subprocess.Popen([sys.executable, "-c", FIRST_THREAD_ENDS], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        await until(lambda: b") Z " in Path(f"/proc/{process.pid}/stat").read_bytes(), "its first thread has ended")
        assert born(process.pid) is not None
        process.kill()
        await until(lambda: born(process.pid) is None, "it has gone")
    finally:
        process.kill()
        process.communicate()
