"""The formatter of `--log-format json`. A configuration of `--log-config` may name it too."""

from __future__ import annotations

import logging
import os

from channel_layer.log_format.json_line import json_line, utc_text
from channel_layer.log_format.logged_connection import NO_CONNECTION


class JsonFormatter(logging.Formatter):
    """Makes one line of a record: a JSON object."""

    def __init__(self, process: str = "python") -> None:
        """process: the name of this process, where supervisord has given none to it."""
        super().__init__()
        self._process = os.environ.get("SUPERVISOR_PROCESS_NAME") or process

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end. The fields of an access line are in `record.towpath_fields`."""
        connection = getattr(record, "towpath_connection", NO_CONNECTION)
        return json_line(
            {
                "time": utc_text(record.created),
                "level": record.levelname,
                "logger": record.name,
                "process": self._process,
                "message": _message(record),
                "connection": connection if connection != NO_CONNECTION else None,
                **getattr(record, "towpath_fields", {}),
                "exception": self.formatException(record.exc_info) if record.exc_info else record.exc_text,
                "stack": self.formatStack(record.stack_info) if record.stack_info else None,
            }
        )


def _message(record: logging.LogRecord) -> str:
    """The text. One that does not fit its arguments is shown beside them."""
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - what a line is made of is the application's
        return f"{record.msg!r} with the arguments {record.args!r}: {error!r}"
