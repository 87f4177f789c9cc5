"""Makes the contexts in which the application runs: each is a copy of the one in which it was loaded.

Context variables that a module sets while it is imported (a precision of `decimal`, a language, fields of a log) hold afterwards, as
under every server that runs the application in the process and context that imported it. Those that are set later, in a request or in
the lifespan, stay there.

A copied context has the same values, and the value of `decimal` is changed in place: `getcontext().prec = 4` in one request would
hold in all others. So each copy has a `decimal` context of its own. A process without `decimal` does not import it for that.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import Context, ContextVar
from functools import lru_cache, partial
from types import ModuleType
from typing import Any


def fresh_context(loaded: Context) -> Context:
    """A copy of `loaded`. Variables that are set in it have no effect on other copies."""
    context = loaded.copy()
    decimal = sys.modules.get("decimal")
    if decimal is not None and (variable := _variable_of(decimal)) in context:
        context.run(decimal.setcontext, context[variable].copy())
    return context


def copies_of(context: Context) -> Callable[[], Context]:
    """A function that makes fresh copies of `context`. Whether `decimal` needs care is checked here, once for all copies."""
    decimal = sys.modules.get("decimal")
    is_set = decimal is not None and _variable_of(decimal) in context
    return partial(fresh_context, context) if is_set else context.copy


@lru_cache(maxsize=1)
def _variable_of(decimal: ModuleType) -> ContextVar[Any]:
    """The context variable of `decimal`, which has no public name: the only variable that `getcontext` sets in an empty context."""
    empty = Context()
    empty.run(decimal.getcontext)
    (variable,) = empty
    return variable
