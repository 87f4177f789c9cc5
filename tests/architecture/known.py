"""What is still against a check while the rules are being carried through: one line per fact, in a file per sub-package.

`python -m tests.architecture.known` strikes out every line that is no longer true. Only a person adds one.
"""

from __future__ import annotations

import importlib
from pathlib import Path

KNOWN = Path(__file__).parent / "known"
#: From check to the function that finds what is against it.
CHECKS = {
    "retired word": "tests.architecture.test_words:retired_words",
    "constructor": "tests.architecture.test_objects:long_constructors",
    "class": "tests.architecture.test_objects:large_classes",
    "callback": "tests.architecture.test_objects:attached_callbacks",
    "mirror": "tests.test_architecture:cores_without_mirror",
}


def check_against_known(check: str, found: set[str], advice: str) -> None:
    """Fail if `found` has anything that is not known, or lacks anything that is; lines read "<file>: <fact>"."""
    known = {line for file in KNOWN.glob("*.txt") for line in facts_in(file, check)}
    new, gone = sorted(found - known), sorted(known - found)
    assert not new, "\n".join([f"New: {advice}", *new])
    assert not gone, "\n".join(["No longer true; run `python -m tests.architecture.known`, and commit:", *gone])


def facts_in(file: Path, check: str) -> list[str]:
    prefix = f"{check} | "
    return [line.removeprefix(prefix) for line in file.read_text("utf-8").splitlines() if line.startswith(prefix)]


def found_by(check: str) -> set[str]:
    module, _, function = CHECKS[check].partition(":")
    return getattr(importlib.import_module(module), function)()


def strike_out() -> None:
    """Keep the lines that are still true."""
    true = {f"{check} | {fact}" for check in CHECKS for fact in found_by(check)}
    for file in KNOWN.glob("*.txt"):
        lines = file.read_text("utf-8").splitlines()
        kept = [line for line in lines if line in true]
        if not kept:
            file.unlink()
        elif kept != lines:
            file.write_text("\n".join(kept) + "\n", "utf-8")


if __name__ == "__main__":
    strike_out()
