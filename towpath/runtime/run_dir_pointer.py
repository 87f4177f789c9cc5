"""A file that leads from the default run folder of a listen address to the real one (`--run-dir`).

`status --port 8000` looks in the default folder of that port. A `serve` with another run folder leaves a file with its path beside
that. Where it cannot write one, it is found by its --run-dir alone.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from towpath.errors import StartFailure
from towpath.runtime import run_dir
from towpath.system.private_folder import PrivateFolder

SUFFIX = ".run-dir"


class RunDirPointer:
    """A pointer of this process to its run folder. `write` makes it."""

    def __init__(self, beside: PrivateFolder, name: str, leads_to: Path) -> None:
        self._beside = beside
        self._name = name
        self._leads_to = leads_to

    @classmethod
    def write(cls, default: Path, leads_to: Path) -> RunDirPointer | None:
        """Write the file beside the default run folder. None if the default is used, or if the file cannot be written."""
        if default.resolve() == leads_to:
            return None
        try:
            beside = PrivateFolder.open(default.parent, make=True)
            _remove_files(beside)
            beside.write(_name(default), str(leads_to))
        except OSError:
            return None
        return cls(beside, _name(default), leads_to)

    def remove(self) -> None:
        """Remove the file, unless another `serve` has written it meanwhile."""
        with contextlib.suppress(OSError):
            if self._beside.read(self._name) == str(self._leads_to):
                os.unlink(self._name, dir_fd=self._beside.descriptor)
        self._beside.remove(self._beside.made)
        self._beside.close()


def follow(default: Path) -> Path:
    """The run folder to use for a default one: itself, or the one to which the file beside it leads."""
    try:
        with contextlib.closing(PrivateFolder.open(default.parent)) as beside:
            return Path(beside.read(_name(default)))
    except (OSError, ValueError):
        return default


def _remove_files(beside: PrivateFolder) -> None:
    """Remove the files that killed `serve`s have left."""
    for name in beside.names():
        if name.endswith(SUFFIX):
            with contextlib.suppress(OSError, ValueError, StartFailure):
                if run_dir.holder(Path(beside.read(name))) is None:
                    os.unlink(name, dir_fd=beside.descriptor)


def _name(default: Path) -> str:
    return f"{default.name}{SUFFIX}"
