"""What a process of a `serve` leaves in the run folder for `serve` to read, and the other way round.

    pids/<name>           that it is there (processes.py)
    pids/.<name>.failed   that it cannot start, and why: supervisord tells nobody the exit code of whoever it tries again
    pids/.<name>.wish     that it asks for its successor, and why
    stopping              that all of it stops

Which process one is, and of which `serve`, stands in the environment. A process that runs alone leaves no marks.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from towpath.environment import RUN_DIR, SLOT
from towpath.errors import StartFailure
from towpath.processes import end_with_parent, raise_descriptor_limit, record, recorded, write_whole

HOLDER, RECORDS, STOPPING = "serve", "pids", "stopping"


def enter() -> None:
    """What every process of ours does first: room for sockets; and under `serve`, be known and do not outlive it."""
    raise_descriptor_limit()
    own = _own_record()
    if own is None:
        return
    parent = os.getppid()
    end_with_parent()
    if os.getppid() != parent:
        raise StartFailure("the supervisor has gone")
    with contextlib.suppress(OSError):
        take_back_marks(own)
        record(own, os.getpid())


def leave_word_of_failure(sentence: str = "") -> None:
    """Tell `serve` that this process cannot start."""
    own = _own_record()
    if own is not None and not (sentence == "" and failure_mark(own).exists()):
        with contextlib.suppress(OSError):
            write_whole(failure_mark(own), sentence)


def ask_for_successor(why: str) -> bool:
    """Tell `serve` that this process should be replaced. False: it runs alone, and nobody could send a successor first."""
    own = _own_record()
    if own is None or recorded(own.parent.parent / HOLDER) is None:
        return False
    try:
        write_whole(wish_mark(own), why)
    except OSError:
        return False
    return True


def said(path: Path) -> str | None:
    """What stands in a mark; None if it is not there."""
    try:
        return path.read_text()
    except OSError:
        return None


def failure_mark(path: Path) -> Path:
    """Where the process of this record says that it cannot start, and why."""
    return path.with_name(f".{path.name}.failed")


def wish_mark(path: Path) -> Path:
    """Where the process of this record asks for its successor, and says why."""
    return path.with_name(f".{path.name}.wish")


def take_back_marks(path: Path) -> None:
    """Nothing was said by the process of this record."""
    for mark in (failure_mark(path), wish_mark(path)):
        mark.unlink(missing_ok=True)


def everything_stops() -> bool:
    """Is this a process of a `serve` that stops as a whole? False: others may serve on, or whoever runs it starts the next."""
    own = _own_record()
    return own is not None and stop_mark(own.parent.parent).exists()


def stop_mark(run_dir: Path) -> Path:
    """Where a `serve` says that it stops, before it asks its processes to leave."""
    return run_dir / STOPPING


def _own_record() -> Path | None:
    run_dir, name = os.environ.get(RUN_DIR), os.environ.get(SLOT)
    return Path(run_dir) / RECORDS / name if run_dir is not None and name is not None else None
