"""Two tenants of one name: our packages, and the user's.

`worker` is a name that many projects have for something of their own. A Python process knows one module of each name, so
ours moves out before theirs moves in: everything of ours is imported, then our names are taken off the door. What we have
in hand goes on working, for a module needs its entry in `sys.modules` only while it is being looked up.

* The start is `python -P`: without it the current folder, where the user's `worker` may lie, comes before ours.
* PYTHONPATH comes before installed packages whatever we do, so whoever starts us sees to it that our names mean ours
  while we import.
* From `release_package_names` on, an import statement of ours inside a function would find the user's module. There is none, and
  `import_everything` sees to it that nothing is left to import.
* `channel_layer` keeps its name: applications import it, to send and to join groups. A project that has one of its own cannot
  import that, and is told so.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path

#: Top-level packages of ours that a user's project may have too.
RELEASED = ("worker", "interface_server", "towpath")
KEPT = "channel_layer"

OUR_HOME = Path(__file__).resolve().parents[2]


def import_everything() -> None:
    """Import every module of this room but its `__main__`."""
    for module in pkgutil.walk_packages([str(OUR_HOME / "worker")], "worker."):
        if not module.name.endswith(".__main__"):
            importlib.import_module(module.name)


def release_package_names() -> None:
    """Give our names up to the user's project, and our home's place at the front of the path.

    Call it last of all imports, and before the user's folder is on the path.
    """
    for module in list(sys.modules):
        if module.partition(".")[0] in RELEASED:
            del sys.modules[module]
    if sys.path[:1] == [str(OUR_HOME)]:
        del sys.path[0]
    importlib.invalidate_caches()


def hidden(app_dir: str) -> str:
    """One sentence about a module of the project in `app_dir` that ours keeps it from importing; empty if there is none."""
    for path in (Path(app_dir).resolve() / KEPT, Path(app_dir).resolve() / f"{KEPT}.py"):
        if path.exists() and not path.is_relative_to(OUR_HOME):
            return f"`import {KEPT}` means Towpath's here, and not {path}: give that another name"
    return ""
