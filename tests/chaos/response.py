"""What a client makes of the bytes of one response: of all that came before the connection ended, or of all that came so far."""

from __future__ import annotations

from tests.chaos.outcomes import Ending


def read(received: bytes) -> tuple[Ending, int | None, bytes]:
    """How it ended, its status, and as much of the body as came."""
    head, blank, rest = received.partition(b"\r\n\r\n")
    if not blank:
        return (Ending.CUT if received else Ending.RESET), None, b""
    first, *lines = head.split(b"\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
    body, whole = _body(fields, rest)
    return (Ending.WHOLE if whole else Ending.CUT), int(first.split()[1]), body


def is_whole(received: bytes) -> bool:
    """Has all of it come? Whoever keeps the connection cannot wait for its end."""
    return read(received)[0] is Ending.WHOLE


def says_close(received: bytes) -> bool:
    """Does the server end the connection behind it?"""
    head = received.partition(b"\r\n\r\n")[0].lower()
    return b"\r\nconnection: close" in head


def _body(fields: dict[bytes, bytes], rest: bytes) -> tuple[bytes, bool]:
    if fields.get(b"transfer-encoding") == b"chunked":
        return _chunks(rest)
    length = int(fields.get(b"content-length", b"-1"))
    return rest, len(rest) == length


def _chunks(rest: bytes) -> tuple[bytes, bool]:
    body = b""
    while True:
        size_line, end, rest = rest.partition(b"\r\n")
        if not end:
            return body, False
        size = int(size_line, 16)
        if size == 0:
            return body, rest == b"\r\n"
        body += rest[:size]
        if len(rest) < size + 2:
            return body, False
        rest = rest[size + 2 :]
