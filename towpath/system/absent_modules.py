"""Imports modules as if an optional one that they look for were not installed: it costs megabytes in each process, and is not used."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def absent(name: str) -> Iterator[None]:
    """Within this block an import of `name` fails with ImportError, unless it was imported before. Afterwards it can be imported again."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # None: this module cannot be imported
    try:
        yield
    finally:
        del sys.modules[name]
