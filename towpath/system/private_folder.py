"""A folder that only its owner and root can change or replace, held by a descriptor.

Its path is walked from the root, one component after the other, each opened with O_NOFOLLOW. A component is refused if it belongs
to a user other than us and root, or if others may write into it without the sticky bit. A link is followed if it is ours or
root's (`/tmp` on macOS, `/var/run`), and what it leads to is walked in the same manner.

So no other user can replace an opened folder for as long as it exists, and its path may be given to programs that know only
paths. When it has been removed, the descriptor leads nowhere, while its path may lead to another user's folder: we use the descriptor.

Standard library alone: workers need it before anything else is imported.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

ROOT = 0  #: the user
PRIVATE = 0o700
LINKS_MAX = 40  #: in one path, as Linux has it
OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: Of a folder on the way: we may pass through many that we may not read.
ON_THE_WAY = FOLDER | getattr(os, "O_PATH", 0)


class NotPrivate(PermissionError):
    """Another user could change the folder; `strerror` is one sentence about it."""


class PrivateFolder:
    """An open private folder, made by `open`. File names are relative to it. made: how many components of its path were new."""

    def __init__(self, path: Path, descriptor: int, made: int) -> None:
        self.path = path
        self.descriptor = descriptor
        self.made = made

    @classmethod
    def open(cls, path: Path, make: bool = False) -> PrivateFolder:
        """Open `path`; make: with everything on the way that is missing. NotPrivate, or another OSError."""
        way = _PathWalk(make)
        try:
            way.walk(path.absolute())
            descriptor = os.open(".", FOLDER, dir_fd=way.here)
        finally:
            way.close()
        folder = cls(way.path, descriptor, way.made)
        try:
            folder._must_be_ours()
        except OSError:
            folder.close()
            raise
        return folder

    @property
    def is_at_its_path(self) -> bool:
        """True if its path still leads to it."""
        try:
            return os.path.samestat(os.fstat(self.descriptor), self.path.lstat())
        except OSError:
            return False

    @contextlib.contextmanager
    def below(self, name: str) -> Iterator[int]:
        """A descriptor of a folder in it, while the context lasts."""
        descriptor = os.open(name, FOLDER, dir_fd=self.descriptor)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def names(self, below: str = ".") -> list[str]:
        """The names of what is in it, or in a folder in it."""
        with self.below(below) as descriptor:
            return os.listdir(descriptor)  # noqa: PTH208 it has no path

    def read(self, name: str) -> str:
        """The text of a file; OSError if it is none."""
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self.descriptor)
        with os.fdopen(descriptor, encoding="utf-8", errors="surrogateescape") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "it is not a file")
            return file.read()

    def write(self, name: str, text: str) -> None:
        """Write a file, so that readers see all of it or nothing."""
        above, slash, last = name.rpartition("/")
        draft = f"{above}{slash}.{last}.{os.getpid()}.draft"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(draft, flags, 0o600, dir_fd=self.descriptor), "wb") as file:
                file.write(text.encode(errors="surrogateescape"))  # a path may contain any byte
            os.rename(draft, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
        except OSError:  # a full disk: nothing of it stays
            with contextlib.suppress(OSError):
                os.unlink(draft, dir_fd=self.descriptor)
            raise

    def has(self, name: str) -> bool:
        """True if there is a file of this name."""
        try:
            os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except OSError:
            return False
        return True

    def remove(self, levels: int) -> None:
        """Remove this many folders at the end of its path, as far as they are empty."""
        for folder in (self.path, *self.path.parents)[:levels]:
            with contextlib.suppress(OSError):  # other folders may be in it
                folder.rmdir()

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.descriptor)

    def _must_be_ours(self) -> None:
        status = os.fstat(self.descriptor)
        if status.st_uid != os.geteuid():
            raise _not_private(self.path, f"belongs to another user (uid {status.st_uid})")


class _PathWalk:
    """One walk along a path. here, path: the folder that was reached."""

    def __init__(self, make: bool) -> None:
        self._make = make
        self._links = 0
        self.made = 0
        self.path = Path("/")
        self.here = os.open("/", ON_THE_WAY)
        # In a user namespace root may have another number: the owner of `/`.
        self._trusted = {ROOT, os.geteuid(), os.fstat(self.here).st_uid}

    def walk(self, path: Path) -> None:
        for name in path.parts[1:]:
            self._must_be_closed_to_others()
            self._step(name)

    def close(self) -> None:
        os.close(self.here)

    def _step(self, name: str) -> None:
        try:
            self._enter(name, os.open(name, ON_THE_WAY, dir_fd=self.here))
        except FileNotFoundError:
            if not self._make:
                raise
            self._make_folder(name)
            self._enter(name, os.open(name, ON_THE_WAY, dir_fd=self.here))
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENOTDIR) or not self._is_link(name):
                raise
            self._follow(name)

    def _make_folder(self, name: str) -> None:
        try:
            os.mkdir(name, PRIVATE, dir_fd=self.here)
        except FileExistsError:  # another process was quicker
            return
        self.made += 1

    def _enter(self, name: str, descriptor: int) -> None:
        os.close(self.here)
        self.here = descriptor
        self.path = self.path.parent if name == ".." else self.path / name

    def _is_link(self, name: str) -> bool:
        return stat.S_ISLNK(self._status(name).st_mode)

    def _follow(self, name: str) -> None:
        self._links += 1
        if self._links > LINKS_MAX:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        owner = self._status(name).st_uid
        if owner not in self._trusted:
            raise _not_private(self.path / name, f"is a link of another user (uid {owner})")
        target = Path(os.readlink(name, dir_fd=self.here))
        if target.is_absolute():
            os.close(self.here)
            self.here, self.path = os.open("/", ON_THE_WAY), Path("/")
        self.walk(Path("/") / target)

    def _status(self, name: str) -> os.stat_result:
        return os.stat(name, dir_fd=self.here, follow_symlinks=False)

    def _must_be_closed_to_others(self) -> None:
        status = os.fstat(self.here)
        if status.st_uid not in self._trusted:
            raise _not_private(self.path, f"belongs to another user (uid {status.st_uid})")
        if status.st_mode & stat.S_ISVTX:
            return
        by_group = status.st_mode & stat.S_IWGRP and status.st_gid not in (os.getegid(), *os.getgroups())
        if status.st_mode & stat.S_IWOTH or by_group:
            raise _not_private(self.path, "may be written by other users")


def _not_private(path: Path, why: str) -> NotPrivate:
    return NotPrivate(errno.EACCES, f"{path} {why}")
