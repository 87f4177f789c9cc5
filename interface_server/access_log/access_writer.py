"""Writes access lines of answers that are over: as JSON, or by `--access-log-format`."""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING, Final

from interface_server.access_log.entry import AccessEntry

if TYPE_CHECKING:  # imported where a format is given
    from interface_server.access_log.access_format import AccessFormat

TIME_FORMAT: Final = "[%d/%b/%Y:%H:%M:%S %z]"

logger: Final = logging.getLogger("towpath.access")


class AccessWriter:
    """The measured access log of one process."""

    __slots__ = ("_as_json", "_format")

    def __init__(self, form: str | None, as_json: bool) -> None:
        """form: --access-log-format; None: our own."""
        self._format = _format_of(form) if form is not None else None
        self._as_json = as_json

    def write(self, entry: AccessEntry) -> None:
        """Write the line of a request whose answer is over."""
        entry.local_time = time.strftime(TIME_FORMAT)
        if entry.begun_s:
            entry.duration_s = time.monotonic() - entry.begun_s
        text = entry.line if self._format is None else self._format.line(entry)
        record = logger.makeRecord(logger.name, logging.INFO, "", 0, text, (), None)
        if entry.connection:
            record.towpath_connection = entry.connection
        if self._as_json:
            record.towpath_fields = entry.json_fields()
        logger.handle(record)


def _format_of(text: str) -> AccessFormat:
    from interface_server.access_log.access_format import AccessFormat

    return AccessFormat(text, os.environ, os.getpid())
