"""The folder that `serve` was started in, under the name that its user has for it.

A deploy often leaves the name and changes what stands behind it: `current` is a link to another release, or the folder was
taken away and made anew. Whoever is in a folder stays in the old one, unseen, and would load the old code for ever. So it is
entered by its name again before anything is loaded; the shell tells the name in PWD, the system only where it has led to.
"""

from __future__ import annotations

import os
from pathlib import Path

from towpath.errors import StartFailure


def current() -> str | None:
    """Absolute. None if the folder can be entered by no name: somebody with other rights may have put us here."""
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
    """Be where `path` leads now. StartFailure if it leads nowhere."""
    if path is None:
        return
    try:
        os.chdir(path)
    except OSError as error:
        raise StartFailure(
            f"the folder {path}, in which `serve` was started, cannot be entered: {error.strerror}"
        ) from error
