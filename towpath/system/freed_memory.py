"""How much freed memory the C library keeps for the next use, in processes that move bodies.

glibc gives memory back as soon as 128 KiB are free at the end of the heap, and learns to keep more from the largest block that was
freed. A worker that answers with 10 KiB frees a batch of them, gives it back, and faults in the same pages for the next batch: there
were ten page faults for each such response in all processes together, and there is none now.

Set in the process and not in the environment, which would reach the programs that an application starts, but not a worker without
`serve`. The embedded server is another program, and gets them by its environment. Other C libraries have no such values.
"""

from __future__ import annotations

import contextlib
import ctypes
import os

#: Free memory at the end of a heap; what is beyond goes back. A quarter of it was enough for responses of 10 KiB; each thread that
#: runs sync code has a heap, and may keep as much.
KEPT_BYTES_MAX = 16 * 2**20
#: A block of this size is not taken from a heap, and goes back when it is freed. glibc learns no larger value, and older ones take none.
MAPPED_BYTES_MIN = 32 * 2**20
#: By the number of the parameter of `mallopt`: its name in the environment, and our value.
PARAMETERS = {-1: ("MALLOC_TRIM_THRESHOLD_", KEPT_BYTES_MAX), -3: ("MALLOC_MMAP_THRESHOLD_", MAPPED_BYTES_MIN)}
#: Another variable of glibc, with the names of the same parameters in it.
TUNABLES, NAMES_THERE = "GLIBC_TUNABLES", ("glibc.malloc.trim_threshold", "glibc.malloc.mmap_threshold")


def keep() -> None:
    """Let this process keep freed memory, unless the user has set how much."""
    if _is_set_by_user():
        return
    with contextlib.suppress(AttributeError, OSError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        for number, (_, value) in PARAMETERS.items():
            mallopt(number, value)


def for_another_program() -> dict[str, str]:
    """Our environment, with what lets another program keep freed memory, unless the user has set how much."""
    ours = {} if _is_set_by_user() else {name: str(value) for name, value in PARAMETERS.values()}
    return {**os.environ, **ours}


def _is_set_by_user() -> bool:
    tunables = os.environ.get(TUNABLES, "")
    by_tunable = any(name in tunables for name in NAMES_THERE)
    return by_tunable or any(name in os.environ for name, _ in PARAMETERS.values())
