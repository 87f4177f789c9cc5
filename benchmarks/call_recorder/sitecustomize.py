"""Records each call of a process between functions of Towpath: Python imports this module at every start, if its folder is on PYTHONPATH.

A page of lines `c file function` (call) and `r file function` (return) is written at the exit, for benchmarks/walk.py.
"""

from __future__ import annotations

import atexit
import os
import sys
from functools import cache
from pathlib import Path
from types import CodeType, FrameType

ROOT = Path(__file__).parents[2]
PACKAGES = ("interface_server", "worker", "channel_layer")

events: list[str] = []


@cache
def place(code: CodeType) -> str | None:
    path = Path(code.co_filename)
    if not path.is_relative_to(ROOT) or path.relative_to(ROOT).parts[0] not in PACKAGES:
        return None
    return f"{path.relative_to(ROOT).as_posix()} {code.co_qualname}"


def note(frame: FrameType, event: str, argument: object) -> None:
    if event in ("call", "return") and (where := place(frame.f_code)) is not None:
        events.append(f"{event[0]} {where}\n")


def write() -> None:
    sys.setprofile(None)
    (Path(os.environ["BENCH_CALLS"]) / f"{os.getpid()}.txt").write_text("".join(events))


atexit.register(write)
sys.setprofile(note)
