"""Checks the header fields of an application's response.

If a line break is smuggled into a value, from a cookie or a redirect, the client reads a header, or a whole response, that
the application never wrote. Other control characters make strict clients reject the response. So every control character but the
tab is refused here, inside the application's own `send()`, where the traceback shows the line that sent it.
Source: RFC 9110, sections 5.1 and 5.5.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from worker.errors import InvalidEvent

Fields = list[tuple[bytes, bytes]]

_is_token: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_breaks_out: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]").search


@lru_cache(maxsize=512)
def is_field_name(name: bytes) -> bool:
    """True if `name` is a token. Cached for the few names that an application ever uses; the bound is for unusual applications."""
    return _is_token(name) is not None


def checked_fields(fields: Any) -> Fields:
    """The same fields as pairs of bytes, with names as the application wrote them. Raises InvalidEvent with the field's index."""
    checked: Fields = []
    if not fields:
        return checked
    try:
        for name, value in fields:
            if type(name) is not bytes or type(value) is not bytes or not is_field_name(name) or _breaks_out(value):
                name, value = _checked_field(name, value, f"headers[{len(checked)}]")
            checked.append((name, value))
    except (TypeError, ValueError) as error:
        if isinstance(error, InvalidEvent):
            raise
        raise InvalidEvent(f"headers[{len(checked)}] is not a pair of name and value") from error
    return checked


def _checked_field(name: Any, value: Any, path: str) -> tuple[bytes, bytes]:
    """The slow path, for what is not plain bytes: subclasses are accepted, everything else is explained in the exception."""
    for index, part in enumerate((name, value)):
        if not isinstance(part, bytes):
            raise InvalidEvent(f"{path}[{index}] is of type {type(part).__name__}; header fields are bytes")
    name, value = bytes(name), bytes(value)
    if not is_field_name(name):
        raise InvalidEvent(f"{path}[0] is {name!r}, which is not a header name")
    if _breaks_out(value):
        raise InvalidEvent(f"{path}[1], the value of {name!r}, holds a line break or another control character")
    return name, value
