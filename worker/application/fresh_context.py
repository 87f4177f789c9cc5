"""Contexts in which the application runs: each a copy of the one in which it was loaded.

What a module sets while it is imported (a precision of `decimal`, a language, fields of a log) holds for all that it does
afterwards, as under every server that runs the application in the process and context that imported it. What is set later, in a
request or in the lifespan, stays there.

A copied context has the same values, and `decimal` keeps a value that is changed in place: `getcontext().prec = 4` in one
request would be heard in all others. So each copy has a `decimal` context of its own.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable
from contextvars import Context, ContextVar
from functools import partial
from typing import Any


def fresh_context(loaded: Context) -> Context:
    """A copy of `loaded`, in which nothing can be set for others."""
    context = loaded.copy()
    if DECIMAL in context:
        context.run(decimal.setcontext, context[DECIMAL].copy())
    return context


def copies_of(context: Context) -> Callable[[], Context]:
    """What makes one fresh copy of `context` after the other. What it takes is found out here, and not for each of them."""
    return partial(fresh_context, context) if DECIMAL in context else context.copy


def _variable_of_decimal() -> ContextVar[Any]:
    """`decimal` does not name it, but is the only module that sets anything in an empty context here."""
    empty = Context()
    empty.run(decimal.getcontext)
    (variable,) = empty
    return variable


DECIMAL = _variable_of_decimal()
