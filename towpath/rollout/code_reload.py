"""--reload: tell when files of the application have changed. What then happens is rollout.py's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from watchfiles import Change, DefaultFilter, watch

#: From the save to the word of it: old code serves so long. A burst that goes on is one more reload.
STEP_MS, QUIET_MS = 10, 20


@dataclass(frozen=True, slots=True)
class Watched:
    """Folders, and patterns of names: which are watched beside `*.py`, and which are not."""

    folders: tuple[Path, ...]
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def concerns(self, path: str) -> bool:
        """Does a change of this file concern the application? A pattern means a file's name, or a part of its path.

        What stands above the folder that is watched is not meant: a project may lie in a folder called `tests`.
        """
        within = self._within(path)
        if any(_matches(path, within, pattern) for pattern in self.exclude):
            return False
        return any(_matches(path, within, pattern) for pattern in ("*.py", *self.include))

    def _within(self, path: str) -> str:
        homes = (folder for folder in self.folders if Path(path).is_relative_to(folder))
        return next((f"/{Path(path).relative_to(home)}" for home in homes), path)


def _matches(path: str, within: str, pattern: str) -> bool:
    pattern = pattern.removeprefix("./").rstrip("/")  # as shells complete them
    if pattern.startswith("/"):
        return fnmatch(path, pattern) or fnmatch(path, f"{pattern}/*")
    return fnmatch(Path(path).name, pattern) or fnmatch(within, f"*/{pattern}") or fnmatch(within, f"*/{pattern}/*")


class _Filter(DefaultFilter):
    """watchfiles' own idea of what is never meant (`.git`, `__pycache__`, editors' drafts), and ours of what is."""

    def __init__(self, watched: Watched) -> None:
        super().__init__()
        self._watched = watched

    def __call__(self, change: Change, path: str) -> bool:
        return super().__call__(change, path) and self._watched.concerns(path)


class ReloadWatch:
    """A thread that calls `changed(paths)` after each burst of changes."""

    def __init__(self, watched: Watched, changed: Callable[[Sequence[str]], None]) -> None:
        self._watched = watched
        self._on_change = changed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="towpath-reload", daemon=True)

    def start(self) -> None:
        """Watch from now on."""
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        changes = watch(
            *self._watched.folders,
            watch_filter=_Filter(self._watched),
            stop_event=self._stop,
            debounce=QUIET_MS,
            step=STEP_MS,
            rust_timeout=500,
            raise_interrupt=False,
        )
        for burst in changes:
            self._on_change(sorted(path for _, path in burst))
