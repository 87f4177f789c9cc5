"""`towpath` with two more signals.

SIGUSR2: its loop stands still for ten seconds. The interpreter runs on, and so do other threads. For a worker it is what an
application does that sleeps; an interface server has no application that could do it.
SIGUSR1: it writes down which tasks and which threads it has (census.py reads that), so that a leak of them can be seen.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
from pathlib import Path

from towpath.__main__ import main

BLOCKED_S = 10.0


def count(*_: object) -> None:
    """One line, whole, by one `write`. A handler runs in the thread of the loop, while that is running."""
    tasks = [task.get_coro().__qualname__ for task in asyncio.all_tasks()]  # type: ignore[union-attr]
    threads = [thread.name for thread in threading.enumerate()]
    line = json.dumps({"pid": os.getpid(), "tasks": sorted(tasks), "threads": sorted(threads)}) + "\n"
    with Path(os.environ["TRACES"], "census").open("ab", buffering=0) as file:
        file.write(line.encode())


if __name__ == "__main__":
    signal.signal(signal.SIGUSR2, lambda *_: time.sleep(BLOCKED_S))
    signal.signal(signal.SIGUSR1, count)
    main()
