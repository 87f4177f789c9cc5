"""Shortens a traceback to the frames in a project's own files, which its author looks for first."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from traceback import FrameSummary, StackSummary, TracebackException

OWN_FRAMES_MAX = 20  #: of each error, the last ones
CHARS_MAX = 8_000  #: the last ones

OUR_PACKAGE = Path(__file__).parents[1]

SHORTENED = "(only the project's own files; --log-level debug shows all of it)\n"


def own_traceback(error: BaseException, home: Path) -> str:
    """`error` and its causes as Python shows them, with the frames of the project in `home` alone.

    Returns lines, each with its line end; the last one tells if something was left out.
    """
    shown = TracebackException.from_exception(error)
    shortened = sum(_keep_own(each, home) for each in _with_causes(shown)) > 0
    return "".join(shown.format())[-CHARS_MAX:] + SHORTENED * shortened


def is_own(filename: str, home: Path) -> bool:
    """True if the file is below the application's folder, and not in a virtual environment there."""
    path = Path(filename)
    return path.is_relative_to(home) and "site-packages" not in path.parts


def is_of_import_system(filename: str) -> bool:
    """True if the file belongs to the import system."""
    return filename.startswith("<frozen ") or filename == importlib.__file__


def _with_causes(shown: TracebackException) -> Iterator[TracebackException]:
    yield shown
    for inner in (shown.__cause__, shown.__context__, *(shown.exceptions or ())):
        if inner is not None:
            yield from _with_causes(inner)


def _keep_own(shown: TracebackException, home: Path) -> bool:
    """Keep the project's own frames. True if others were left out."""
    own = [frame for frame in shown.stack if is_own(frame.filename, home)]
    others = [frame for frame in shown.stack if not is_own(frame.filename, home) and not _is_of_loading(frame)]
    shown.stack = StackSummary.from_list(own[-OWN_FRAMES_MAX:])
    return bool(others) or len(own) > OWN_FRAMES_MAX


def _is_of_loading(frame: FrameSummary) -> bool:
    return is_of_import_system(frame.filename) or Path(frame.filename).is_relative_to(OUR_PACKAGE)
