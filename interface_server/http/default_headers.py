"""The header lines that the server adds to every response.

No clock here: the owner of a timer calls `DefaultHeaders.refresh` when the wall clock has moved on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from interface_server.http.response_head import DATE, SERVER, InvalidResponse, kinds_of

SERVER_LINE: Final = b"server: towpath\r\n"
NUL: Final = 0  #: a number, since `in` would first try to make one of b"\0", which takes longer than the search


class DefaultHeaders:
    """Header lines of every response: date and server unless the application sends its own, and the operator's."""

    __slots__ = ("_clock", "_date", "_extra", "_server", "all", "date_wanted")

    def __init__(
        self,
        clock: Callable[[], str],
        server: bool = True,
        date: bool = True,
        extra: Sequence[tuple[str, str]] = (),
    ) -> None:
        """clock: this moment as an IMF-fixdate. Raises ValueError for an extra field that cannot be one."""
        pairs = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in extra]
        try:
            kinds = kinds_of(pairs)
        except InvalidResponse as error:
            raise ValueError(str(error)) from error
        self._extra = b"".join(b"%b: %b\r\n" % pair for pair in pairs)
        if not has_line_ends(self._extra, len(pairs)):
            raise ValueError("a value of an additional header holds a line end or NUL")
        self._server = SERVER_LINE if server and not kinds & SERVER else b""
        self._clock = clock
        self.date_wanted = date and not kinds & DATE
        self.refresh()

    def refresh(self) -> None:
        """Read the clock again; call it once a second."""
        self._date = f"date: {self._clock()}\r\n".encode() if self.date_wanted else b""
        self.all = self._date + self._server + self._extra

    def lines_for(self, kinds: int) -> bytes:
        """The lines to add to a response with fields of `kinds`: the application's own date or server wins."""
        if not kinds & (DATE | SERVER):
            return self.all
        return (b"" if kinds & DATE else self._date) + (b"" if kinds & SERVER else self._server) + self._extra


def has_line_ends(head: bytes, lines: int) -> bool:
    """True if `head` has exactly `lines` line ends, and no other byte that could pass for one."""
    return head.count(b"\n") == lines and head.count(b"\r") == lines and NUL not in head
