"""--reload: reports changed files of the application, and changed settings. reload.py replaces the workers then."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from watchfiles import Change, DefaultFilter, watch

#: The time from a save to its report, during which old code serves. A burst that goes on is one more reload.
STEP_MS, QUIET_MS = 10, 20


@dataclass(frozen=True, slots=True)
class Watched:
    """Folders, and patterns of names: which are watched beside `*.py`, and which are not. files: with settings, wherever they are."""

    folders: tuple[Path, ...]
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    files: frozenset[Path] = frozenset()

    def concerns(self, path: str) -> bool:
        """True if a change of this file concerns the application. A pattern matches a file's name, or a part of its path.

        Folders above the watched one are not matched: a project may lie in a folder called `tests`.
        """
        return Path(path) not in self.files and self._is_watched(path, ("*.py", *self.include))

    def has_settings(self, path: str) -> bool:
        """True if a change of this file changes settings."""
        return Path(path) in self.files and self._is_watched(path, ("*",))

    def _is_watched(self, path: str, included: Sequence[str]) -> bool:
        within = self._within(path)
        if any(_matches(path, within, pattern) for pattern in self.exclude):
            return False
        return any(_matches(path, within, pattern) for pattern in included)

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
    """Threads that call `changed(paths)` after each burst of changes: one for the folders, one for files with settings."""

    def __init__(self, watched: Watched, changed: Callable[[Sequence[str]], None]) -> None:
        self._watched = watched
        self._on_change = changed
        self._stop = threading.Event()
        watches: list[Callable[[], None]] = [self._watch_folders]
        watches += [self._watch_files] if watched.files else []
        self._threads = [threading.Thread(target=run, name="towpath-reload", daemon=True) for run in watches]

    def start(self) -> None:
        """Begin to watch."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End the threads."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _watch_folders(self) -> None:
        self._watch(self._watched.folders, _Filter(self._watched), recursive=True)

    def _watch_files(self) -> None:
        """Watch the folders of the files, which is seen when an editor puts another file in the place of one."""
        folders = {file.parent for file in self._watched.files}
        self._watch(folders, lambda _change, path: self._watched.has_settings(path), recursive=False)

    def _watch(self, folders: Iterable[Path], concerns: Callable[[Change, str], bool], recursive: bool) -> None:
        changes = watch(
            *folders,
            recursive=recursive,
            watch_filter=concerns,
            stop_event=self._stop,
            debounce=QUIET_MS,
            step=STEP_MS,
            rust_timeout=500,
            raise_interrupt=False,
        )
        for burst in changes:
            self._on_change(sorted(path for _, path in burst))
