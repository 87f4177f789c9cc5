"""A process says which tasks and threads it has, and what it has too much is told."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.chaos import census
from tests.chaos.census import Count
from tests.chaos.process import Process
from tests.support.facts import until

#: Leaks a task and a thread when it is told to by a file.
LEAKY = """
import asyncio, signal, sys, threading
from pathlib import Path
import uvloop
from tests.chaos.blockable import count

async def forgotten():
    await asyncio.Event().wait()

async def main(folder):
    signal.signal(signal.SIGUSR1, count)
    (folder / "begun").touch()
    while not (folder / "leak").exists():
        await asyncio.sleep(0.01)
    kept = asyncio.ensure_future(forgotten())
    threading.Thread(target=threading.Event().wait, daemon=True, name="forgotten").start()
    (folder / "leaked").touch()
    await kept

uvloop.run(main(Path(sys.argv[1])))
"""


async def test_a_task_and_a_thread_that_nobody_ends_are_seen(tmp_path: Path) -> None:
    """Both stay for as long as the process does, and so they would in one that serves for weeks."""
    environment = {"TRACES": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}
    process = Process.start("leaky", [sys.executable, "-c", LEAKY, tmp_path], tmp_path / "log", environment)
    try:
        await until((tmp_path / "begun").exists, "it has begun")
        before = (await census.take([process], tmp_path))["leaky"]
        (tmp_path / "leak").touch()
        await until((tmp_path / "leaked").exists, "it has leaked")
        after = (await census.take([process], tmp_path))["leaky"]
    finally:
        process.end_by_force()
    assert before.more_than(before) == []
    assert after.more_than(before) == [
        "has tasks that it had not at the beginning: {'forgotten': 1}",
        "has threads that it had not at the beginning: {'forgotten': 1}",
    ]


def test_threads_of_the_pool_and_fewer_tasks_are_no_leak() -> None:
    """A pool makes threads as it needs them, and keeps them for the next who needs one."""
    before = Count(("main", "look"), ("MainThread",))
    assert Count(("main",), ("MainThread", "uvloop_0", "uvloop_1")).more_than(before) == []
