"""--reload: reports changed files of the application. reload.py replaces the workers then."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from watchfiles import Change, DefaultFilter, watch

#: The time from a save to its report, during which old code serves. A burst that goes on is one more reload.
STEP_MS, QUIET_MS = 10, 20


@dataclass(frozen=True, slots=True)
class Watched:
    """Folders, and patterns of names: which are watched beside `*.py`, and which are not."""

    folders: tuple[Path, ...]
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def concerns(self, path: str) -> bool:
        """True if a change of this file concerns the application. A pattern matches a file's name, or a part of its path.

        Folders above the watched one are not matched: a project may lie in a folder called `tests`.
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
    """The filter of watchfiles, which excludes `.git`, `__pycache__` and editors' drafts, combined with ours."""

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
        """Begin to watch."""
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
