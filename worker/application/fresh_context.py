"""Makes the contexts in which the application runs: each is a copy of the one in which it was loaded.

Context variables that a module sets while it is imported (a precision of `decimal`, a language, fields of a log) hold afterwards, as
under every server that runs the application in the process and context that imported it. Those that are set later, in a request or in
the lifespan, stay there.

A copied context has the same values, and the value of `decimal` is changed in place: `getcontext().prec = 4` in one request would
hold in all others. So each copy has a `decimal` context of its own.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable
from contextvars import Context, ContextVar
from functools import partial
from typing import Any


def fresh_context(loaded: Context) -> Context:
    """A copy of `loaded`. Variables that are set in it have no effect on other copies."""
    context = loaded.copy()
    if DECIMAL in context:
        context.run(decimal.setcontext, context[DECIMAL].copy())
    return context


def copies_of(context: Context) -> Callable[[], Context]:
    """A function that makes fresh copies of `context`. Whether `decimal` needs care is checked here, once for all copies."""
    return partial(fresh_context, context) if DECIMAL in context else context.copy


def _variable_of_decimal() -> ContextVar[Any]:
    """The context variable of `decimal`, which has no public name: the only variable that `getcontext` sets in an empty context."""
    empty = Context()
    empty.run(decimal.getcontext)
    (variable,) = empty
    return variable


DECIMAL = _variable_of_decimal()
