"""Imports modules without others that they name and that are not used: these cost time and megabytes in each process."""

from __future__ import annotations

import contextlib
import sys
import types
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any


def absent(name: str) -> AbstractContextManager[None]:
    """Within this block an import of `name` fails with ImportError, unless it was imported before. Afterwards it can be imported again."""
    return _replaced(name, None)  # None: this module cannot be imported


class _Hollow(types.ModuleType):
    """A module that has every name. What stands there can be called, has every name too, and does nothing."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *_args: Any, **_keywords: Any) -> Any:
        return self


@contextlib.contextmanager
def hollow(*names: str) -> Iterator[None]:
    """Within this block an import of each of `names` gives a module that does nothing, unless it was imported before.

    For modules that must not be absent while others are imported, and of which these use nothing. Later they can be imported themselves.
    """
    with contextlib.ExitStack() as all_replaced:
        for name in names:
            all_replaced.enter_context(_replaced(name, _Hollow(name)))
        yield


@contextlib.contextmanager
def _replaced(name: str, stand_in: types.ModuleType | None) -> Iterator[None]:
    if name in sys.modules:
        yield
        return
    sys.modules[name] = stand_in  # type: ignore[assignment]  # None is Python's own way to say that there is none
    try:
        yield
    finally:
        del sys.modules[name]
