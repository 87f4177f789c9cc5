"""The connection that the running code serves, in each log record: `towpath_connection`, its reply channel, or `-`.

The record gets it where it is made, since a handler may write it from another thread. A factory that an application sets later should
call the one that it finds, as the documentation of `logging` asks.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import Any

NO_CONNECTION = "-"

#: The reply channel of the connection that the running application instance serves, in its tasks and its sync threads.
LOGGED_CONNECTION: ContextVar[str] = ContextVar("towpath_logged_connection", default=NO_CONNECTION)


def name_connections() -> None:
    """Let every record of this process have `towpath_connection` from now on."""
    make_record = logging.getLogRecordFactory()

    def make_named_record(*arguments: Any, **named: Any) -> logging.LogRecord:
        record = make_record(*arguments, **named)
        record.towpath_connection = LOGGED_CONNECTION.get()
        return record

    logging.setLogRecordFactory(make_named_record)
