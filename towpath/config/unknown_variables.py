"""Variables that look like a mistyped option: `TOWPATH_WROKERS`, which otherwise would change nothing and say nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: Variables that are no options: those that `serve` gives its processes, and those of the build and of the Compose file.
OURS = frozenset({"APP", "ENVIRONMENT", "PAUSES", "TERMINAL", "RUN_DIR", "GENERATION", "COMPILE", "IMAGE", "PUBLISH"})
PREFIX = "TOWPATH_"
#: What Kubernetes makes of a Service called `towpath` or `towpath-…`.
OF_A_SERVICE = re.compile(r"(\w+_)?(SERVICE_(HOST|PORT)|PORT)(_\w+)?")
LIKENESS_MIN = 0.75


def mistyped(variables: Iterable[str], options: Iterable[str]) -> dict[str, str]:
    """The variables that no option has, each with the variable that was most likely meant. options: all variables of options."""
    known = [name for name in options if name.startswith(PREFIX)]
    ours = {f"{PREFIX}{name}" for name in OURS}.union(known)
    strange = sorted(name for name in variables if name.startswith(PREFIX) and name not in ours)
    if not strange:
        return {}
    from difflib import get_close_matches  # only where something is wrong

    found = {}
    for name in strange:
        suffix = name.removeprefix(PREFIX)
        near = get_close_matches(suffix, [each.removeprefix(PREFIX) for each in known], 1, LIKENESS_MIN)
        if near and OF_A_SERVICE.fullmatch(suffix) is None:
            found[name] = f"{PREFIX}{near[0]}"
    return found
