"""The door of the `towpath` command, also as `python -P <this file>`.

A project may have packages called `worker` or `towpath` of its own, and put them on PYTHONPATH. Until everything of ours
is imported, our names mean ours; afterwards the finder below is retired, and the names are the project's again. That is why
processes are started by the path of this file: `-m towpath` would look on PYTHONPATH first.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

INTERRUPTED = 130  #: as in errors.py, which may not be there yet
#: Becomes the embedded server of a `serve`: everybody waits for that, so nothing else is imported.
EMBEDDED = "embedded"
OURS = frozenset({"channel_layer", "interface_server", "worker", "towpath"})


class OursFirst(MetaPathFinder):
    """Finds our packages beside this one, whatever stands in front of them on `sys.path`."""

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
        """From now on our names are looked up like all others."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)


def main() -> None:
    """Run the command that `sys.argv` names, and leave with its exit code. Ctrl-C may come while all is being imported."""
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

    standard_streams.open_closed()
    process_one.become_init()
    worker_environment.take_up()
    if sys.argv[1:2] == [EMBEDDED] and len(sys.argv) == 3:
        from towpath.runtime import embedded_redis

        return embedded_redis.run(Path(sys.argv[2]))
    from towpath.command_line import run

    try:
        return run(sys.argv[1:], finder.remove)
    finally:
        standard_streams.flush()


if __name__ == "__main__":
    main()
