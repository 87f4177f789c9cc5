"""Closes in a forked child what it inherits from its parent and must not use.

An application may fork: `multiprocessing`, `os.fork`. The child has one thread, and every descriptor of its parent. Redis would
not see the end of the parent's connections while the child lives, and would take what the child sends for packets of the parent.

* Signals are blocked from before the fork until everything is closed: the parent may end a child that has only just begun.
* Descriptors are closed by `os.close` and in no other way. An event loop shares its epoll set with the parent: to close a
  descriptor here leaves the set as it is, to remove the descriptor from it would deafen the parent.
* A command that is started by `subprocess` inherits nothing of this: `exec` closes it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from typing import Protocol
from weakref import WeakSet


class Inherited(Protocol):
    """An object that belongs to one process and not to its children."""

    def forked(self) -> None:
        """Close in a child what the object holds. Runs before any other Python code there; must not wait or take a lock."""


class InheritedBy:
    """Stands for an object of a compiled class, which cannot be referenced weakly. That object holds it as long as it lives."""

    __slots__ = ("__weakref__", "forked")

    def __init__(self, forked: Callable[[], None]) -> None:
        """forked: see `Inherited`."""
        self.forked = forked


_inherited: WeakSet[Inherited] = WeakSet()
#: In a child: a finalizer would close descriptors that are used for something else by then.
_released: list[Inherited] = []
_blocked = threading.local()  # two threads may fork at once
_ALL = signal.valid_signals()


def give_up_in_children(what: Inherited) -> None:
    """Call `what.forked()` in each child that is forked from now on, as long as `what` is referenced."""
    _inherited.add(what)


def close(*descriptors: int) -> None:
    """Close these descriptors; one that is closed already is no error."""
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def _before() -> None:
    _blocked.mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ALL) if _inherited else None


def _after() -> None:
    if _blocked.mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, _blocked.mask)


def _in_child() -> None:
    try:
        inherited = list(_inherited)
        _inherited.clear()
        _released.extend(inherited)
        for each in inherited:  # and not what our parent has given up already, when it was a child itself
            each.forked()
    finally:
        _after()


os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_in_child)
