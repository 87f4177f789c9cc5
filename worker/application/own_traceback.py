"""The part of a traceback that lies in a project's own files: what its author looks for first."""

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
    """`error`, and what it came from, as Python shows them, without the lines of other files than those of the project in `home`.

    Lines, each with its end; the last one says if something was left out.
    """
    shown = TracebackException.from_exception(error)
    shortened = sum(_keep_own(each, home) for each in _with_causes(shown)) > 0
    return "".join(shown.format())[-CHARS_MAX:] + SHORTENED * shortened


def is_own(filename: str, home: Path) -> bool:
    """True if it is below the application's folder, and not installed in an environment that lies there too."""
    path = Path(filename)
    return path.is_relative_to(home) and "site-packages" not in path.parts


def is_of_import_system(filename: str) -> bool:
    """True if it only says that something was imported."""
    return filename.startswith("<frozen ") or filename == importlib.__file__


def _with_causes(shown: TracebackException) -> Iterator[TracebackException]:
    yield shown
    for inner in (shown.__cause__, shown.__context__, *(shown.exceptions or ())):
        if inner is not None:
            yield from _with_causes(inner)


def _keep_own(shown: TracebackException, home: Path) -> bool:
    """True if others stood there."""
    own = [frame for frame in shown.stack if is_own(frame.filename, home)]
    others = [frame for frame in shown.stack if not is_own(frame.filename, home) and not _is_of_loading(frame)]
    shown.stack = StackSummary.from_list(own[-OWN_FRAMES_MAX:])
    return bool(others) or len(own) > OWN_FRAMES_MAX


def _is_of_loading(frame: FrameSummary) -> bool:
    return is_of_import_system(frame.filename) or Path(frame.filename).is_relative_to(OUR_PACKAGE)
