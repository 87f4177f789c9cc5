"""What a process logs, and what it leaves to the application. In a process of its own: the log of this one is pytest's."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: The logger that Django sets up: its handler shows lines while DEBUG is on, and only then.
LOGGING = """
import logging.config, sys
from channel_layer import process_log
process_log.set_up("info", None)
logging.config.dictConfig({
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"debug": {"()": lambda: lambda record: DEBUG}},
    "handlers": {"console": {"level": "INFO", "filters": ["debug"], "class": "logging.StreamHandler"}},
    "loggers": {"django": {"handlers": ["console"], "level": "INFO"}},
})
"""


@pytest.mark.parametrize("debug", [True, False])
def test_a_line_of_the_application_is_shown_once(debug: bool) -> None:
    """Whoever has a handler of its own shows it there; what that does not show is not lost."""
    said = "logging.getLogger('django.request').error('broken')\nlogging.getLogger('other').warning('odd')\n"
    ended = subprocess.run(
        [sys.executable, "-c", f"DEBUG = {debug}\n{LOGGING}{said}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert (ended.stderr.count("broken"), ended.stderr.count("odd")) == (1, 1)
    assert ended.stderr.startswith("broken") == debug


def test_what_the_application_writes_elsewhere_is_shown_here_too() -> None:
    """A file of its own is no reason for silence."""
    said = "logging.getLogger('mine').addHandler(logging.NullHandler())\nlogging.getLogger('mine').error('lost?')\n"
    ended = subprocess.run(
        [sys.executable, "-c", f"DEBUG = True\n{LOGGING}{said}"], capture_output=True, text=True, check=True, timeout=60
    )
    assert "ERROR mine: lost?" in ended.stderr
