"""Formats a value that came from elsewhere for a log line or an error: on one line, and bounded."""

from __future__ import annotations

CHARS_MAX = 80
SCALARS = (int, float, bool, type(None))


def shown(value: object) -> str:
    """A string, bytes or number as Python writes it, at most 80 characters; of any other value the type alone.

    A container is never formatted: if nested deeply enough it raises RecursionError, and it may be megabytes long.
    """
    if isinstance(value, str | bytes):
        return repr(value[:CHARS_MAX])[:CHARS_MAX]
    return repr(value)[:CHARS_MAX] if isinstance(value, SCALARS) else f"of type {type(value).__name__}"


def printable(text: str) -> str:
    """The same text, where each character that is not seen, or that moves or turns what stands beside it, is written as Python does."""
    return text if text.isprintable() else "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
