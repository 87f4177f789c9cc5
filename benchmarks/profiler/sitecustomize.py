"""Where a process spends its CPU time: Python imports this module at every start, when its folder is on PYTHONPATH.

A timer of CPU time (user and system) interrupts the process every millisecond; whatever Python line comes next is noted
with all its callers. So a line's share includes the C code that it called, and the loop's own C code (reading the
socket, waiting) is charged to the first line of the callback that follows it. A page is written now and then, and at the exit:
not every process lives to see its exit handlers.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from types import CodeType, FrameType

INTERVAL_S = 0.001
SHOWN = 45
WRITE_EVERY_SAMPLES = 250
FOLDER = Path(os.environ.get("BENCH_PROFILE", "."))

lines: Counter[str] = Counter()
functions: Counter[str] = Counter()
totals: Counter[str] = Counter()
busy = False  #: a sample is being counted, or the last page was written


@cache
def place(code: CodeType) -> str:
    return f"{'/'.join(Path(code.co_filename).parts[-2:])} {code.co_qualname}"


def note(signum: int, frame: FrameType | None) -> None:
    """Count one sample, unless it has interrupted the counting or writing of another: that is not the program."""
    global busy
    if frame is None or busy:
        return
    busy = True
    count(frame)
    busy = False


def count(frame: FrameType) -> None:
    lines[f"{place(frame.f_code)}:{frame.f_lineno}"] += 1
    functions[place(frame.f_code)] += 1
    caller: FrameType | None = frame
    callers = set()
    while caller is not None:
        callers.add(place(caller.f_code))
        caller = caller.f_back
    totals.update(callers)
    if functions.total() % WRITE_EVERY_SAMPLES == 0:
        write()


def write() -> None:
    samples = functions.total()
    page = [" ".join(sys.orig_argv), f"{samples} samples"]
    for title, counter in (("itself", functions), ("with all that it calls", totals), ("lines", lines)):
        page += ["", title]
        page += [f"{100 * number / samples:6.1f} %  {name}" for name, number in counter.most_common(SHOWN)]
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{os.getpid()}.txt").write_text("\n".join([*page, ""]))


def end() -> None:
    """Write the last page. No sample is taken from here on; one that the timer has sent already must not count."""
    global busy
    busy = True
    signal.setitimer(signal.ITIMER_PROF, 0)
    if functions:
        write()


def heard(event: str, _: object) -> None:
    """A timer lives on in the program that this process becomes, which would be ended by it."""
    if event == "os.exec":
        end()


if "BENCH_PROFILE" in os.environ:
    atexit.register(end)
    sys.addaudithook(heard)
    signal.signal(signal.SIGPROF, note)
    signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)
