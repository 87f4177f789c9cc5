"""The entry point of the `towpath` command, also as `python -P <this file>`.

A project may have packages of its own called `worker` or `towpath`, and put them on PYTHONPATH. Until every package of ours is
imported, these names mean ours; then the finder below is removed, and the names are the project's again. For the same reason
processes are started by the path of this file: `-m towpath` would search PYTHONPATH first.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from towpath.supervisord.launch import Launch

INTERRUPTED = 130  #: as in errors.py, which may not be there yet
#: Becomes the embedded server of a `serve`. All other processes wait for it, so nothing else is imported.
EMBEDDED = "embedded"
SERVE = "serve"
OURS = frozenset({"channel_layer", "interface_server", "worker", "towpath"})


class OursFirst:
    """Finds our packages beside this one, whatever comes before them on `sys.path`.

    A finder without the base class: importing that would take each process a tenth of its start.
    """

    def __init__(self) -> None:
        self.root = str(Path(__file__).resolve().parent.parent)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Our package, or None for every other name."""
        if path is None and fullname in OURS:
            return PathFinder.find_spec(fullname, [self.root])
        return None

    def remove(self) -> None:
        """Let our names be looked up like all others from now on."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)


def main() -> None:
    """Run the command that `sys.argv` names, and exit with its code. Ctrl-C may come during the imports."""
    try:
        code = _run()
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)


def _run() -> int:
    finder = OursFirst()
    sys.meta_path.insert(0, finder)
    from towpath.runtime import worker_environment
    from towpath.system import process_one, standard_streams
    from towpath.system.paused_collector import collector_paused

    standard_streams.open_closed()
    process_one.become_init()
    worker_environment.take_up()
    if sys.argv[1:2] == [EMBEDDED] and len(sys.argv) == 3:
        from towpath.runtime import embedded_redis

        return embedded_redis.run(Path(sys.argv[2]))
    launch = _launch() if sys.argv[1:2] == [SERVE] else None
    try:
        with collector_paused():
            from towpath.command_line import run

        return run(sys.argv[1:], finder.remove, launch)
    finally:
        standard_streams.flush()
        if launch is not None:
            launch.drop()


def _launch() -> Launch:
    """The supervisord of a `serve`, which loads its modules while this process loads its own."""
    from towpath.supervisord.launch import Launch

    return Launch()


if __name__ == "__main__":
    main()
