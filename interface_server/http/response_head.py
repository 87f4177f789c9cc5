"""The head of a response: its status line and the fields that the server must understand.

These are the fields that have a meaning to the server, and those that have one value.

The connection decides how a message is framed, so it has to know the fields about it; all others pass. No I/O here. Sources: RFC 9110,
sections 5.5 and 8 to 14; RFC 9111, section 5.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

#: Pairs of bytes, unless a peer breaks the rules: names and values are checked where they are used.
Fields = Sequence[Sequence[Any]]

_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}
#: All possible status lines of HTTP/1.1: 800 small ones are cheaper than a check for each response.
STATUS_LINES: Final = {
    status: f"HTTP/1.1 {status} {_PHRASES.get(status, '')}\r\n".encode() for status in range(100, 1000)
}

# Kinds of response fields with a meaning to the server, as bits: one `|` over all fields gives the kinds of a response.
PLAIN: Final = 0
LENGTH: Final = 1
HOP: Final = 2
CONNECTION: Final = 4
DATE: Final = 8
SERVER: Final = 16
#: Fields that have one value, each with a bit of its own (RFC 9110, 5.5 and 8 to 14; RFC 9111, 5).
_ONE_VALUE: Final = (
    b"age content-location content-range content-type etag expires last-modified location retry-after".split()
)
KNOWN_KINDS: Final = {
    b"content-length": LENGTH,
    b"transfer-encoding": HOP,
    b"keep-alive": HOP,
    b"upgrade": HOP,
    b"proxy-connection": HOP,
    b"connection": CONNECTION,
    b"date": DATE,
    b"server": SERVER,
    **{name: SERVER << number for number, name in enumerate(_ONE_VALUE, 1)},
}
SINGLE: Final = LENGTH | DATE | SERVER | sum(KNOWN_KINDS[name] for name in _ONE_VALUE)
NAMES_REMEMBERED_MAX: Final = 1024
TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")

#: The kind of each name, as the application wrote it. Grows with the names in use up to the limit; then it is cleared.
kind_by_name: Final[dict[bytes, int]] = dict(KNOWN_KINDS)


class InvalidResponse(Exception):
    """The application's response cannot be encoded. Nothing of this event may be sent."""


def learn(name: Any) -> int:
    """Remember and return the kind of a name that is not remembered yet. Raises InvalidResponse if it is no token."""
    if type(name) is not bytes or TOKEN.fullmatch(name) is None:
        raise InvalidResponse(f"{name!r} is no name of a response field")
    if len(kind_by_name) >= NAMES_REMEMBERED_MAX:
        kind_by_name.clear()
        kind_by_name.update(KNOWN_KINDS)
    kind = kind_by_name[name] = KNOWN_KINDS.get(name.lower(), PLAIN)
    return kind


def kind_of(name: Any) -> int:
    """The kind of `name`, however it is written. Raises InvalidResponse if it is no token."""
    kind = kind_by_name.get(name)
    return learn(name) if kind is None else kind


def kinds_of(fields: Fields) -> int:
    """All kinds among `fields`, as bits. Raises InvalidResponse for a name that is not a token."""
    found = PLAIN
    for name, _ in fields:
        kind = kind_by_name.get(name)
        found |= learn(name) if kind is None else kind
    return found


def once(fields: Fields) -> Fields:
    """Return `fields` without repetitions of fields that have one value. A second value that differs is kept.

    Content-Length is known to be the same number each time, however it is written.
    """
    kept, seen = [], set()
    for name, value in fields:
        kind = kind_of(name)
        if kind & SINGLE:
            field = (kind, b"" if kind == LENGTH else value)
            if field in seen:
                continue
            seen.add(field)
        kept.append((name, value))
    return kept
