"""The working directory of `serve`, under the name that its user has for it.

A deployment often keeps the name and changes the folder: `current` is a link to another release, or the folder was removed and made
anew. A process stays in the old folder without noticing, and would load the old code for ever. So the folder is entered by its
name again before anything is loaded. The shell has the name in PWD; the system knows only the folder that it led to.
"""

from __future__ import annotations

import os
from pathlib import Path

from towpath.errors import StartFailure


def current() -> str | None:
    """The absolute path. None if no path leads here: a process with other rights may have started us here."""
    try:
        here = str(Path.cwd())
    except FileNotFoundError:
        return None
    return next((path for path in (os.environ.get("PWD", ""), here) if _leads_here(path)), None)


def _leads_here(path: str) -> bool:
    try:
        return Path(path).is_absolute() and Path(path).samefile(".") and os.access(path, os.X_OK)
    except OSError:
        return False


def change_to(path: str | None) -> None:
    """Change to the folder to which `path` leads now. StartFailure if it leads nowhere."""
    if path is None:
        return
    try:
        os.chdir(path)
    except OSError as error:
        raise StartFailure(
            f"the folder {path}, in which `serve` was started, cannot be entered: {error.strerror}"
        ) from error
