"""Import isolation: lets a user's project have packages of its own with the names of Towpath's.

Many projects have a package called `worker`. A Python process knows one module of each name, so Towpath's names are released
before the user's are imported: first every module of Towpath is imported, then its names are removed from `sys.modules`. The
modules go on working, since a module needs its entry there only while it is looked up.

* A worker is started with `python -P`: without it the current folder, where the user's `worker` may be, comes before Towpath.
* PYTHONPATH always comes before installed packages, so the process that starts a worker has to make sure that the names mean
  Towpath's packages while they are imported.
* After `release_package_names`, an import statement of Towpath inside a function would find the user's module. There is none, and
  `import_everything` makes sure that nothing is left to import.
* `channel_layer` keeps its name: applications import it, to send and to join groups. A project with a package of that name
  cannot import it, and gets a message that explains it.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path

#: Top-level packages of Towpath whose names a user's project may have too.
RELEASED = ("worker", "interface_server", "towpath")
KEPT = "channel_layer"

OUR_HOME = Path(__file__).resolve().parents[2]


def import_everything() -> None:
    """Import every module of this package but its `__main__`."""
    for module in pkgutil.walk_packages([str(OUR_HOME / "worker")], "worker."):
        if not module.name.endswith(".__main__"):
            importlib.import_module(module.name)


def release_package_names() -> None:
    """Release the names for the user's project, and Towpath's place at the front of the module path.

    Call it after all imports, and before the user's folder is on the path.
    """
    for module in list(sys.modules):
        if module.partition(".")[0] in RELEASED:
            del sys.modules[module]
    if sys.path[:1] == [str(OUR_HOME)]:
        del sys.path[0]
    importlib.invalidate_caches()


def hidden(app_dir: str) -> str:
    """A message about a project module in `app_dir` that cannot be imported because of Towpath's; empty if none."""
    for path in (Path(app_dir).resolve() / KEPT, Path(app_dir).resolve() / f"{KEPT}.py"):
        if path.exists() and not path.is_relative_to(OUR_HOME):
            return f"`import {KEPT}` means Towpath's here, and not {path}: give that another name"
    return ""
