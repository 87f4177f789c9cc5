"""What a record is in JSON. In a process of its own where the process has to be set up: the log of this one is pytest's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from channel_layer.log_format.json_formatter import JsonFormatter

SET_UP = (
    "import logging\nfrom channel_layer.process import log_setup\nlog_setup.set_up('info', None, 'json', 'worker')\n"
    "log_setup.keep_ours()\nours, mine = logging.getLogger('towpath.worker'), logging.getLogger('mine')\n"
)


def said(source: str) -> list[dict[str, object]]:
    """The objects on standard error of a process that runs `source`."""
    command = [sys.executable, "-c", SET_UP + source]
    home = {"PYTHONPATH": str(Path(__file__).parents[3])}
    ended = subprocess.run(command, env=home, capture_output=True, text=True, check=True, timeout=60)
    return [json.loads(line) for line in ended.stderr.splitlines()]


@given(st.text(), st.lists(st.text() | st.integers(), max_size=2), st.text())
def test_no_record_breaks_its_line(text: str, arguments: list[object], name: str) -> None:
    """Not even one whose arguments do not fit: it is shown beside them."""
    import logging

    record = logging.makeLogRecord({"name": name, "msg": text, "args": tuple(arguments)})
    line = JsonFormatter().format(record)
    assert line.isascii() and line.isprintable()
    assert json.loads(line)["logger"] == name


def test_lines_of_ours_and_of_the_application_are_objects_with_its_traceback_as_one_text() -> None:
    """Whether its loggers have handlers, or only ours."""
    fields = said("ours.info('one')\ntry:\n    1 / 0\nexcept ZeroDivisionError:\n    mine.exception('two\\nlines')\n")
    assert [line["message"] for line in fields] == ["one", "two\nlines"]
    assert {line["process"] for line in fields} == {"worker"}
    assert str(fields[1]["exception"]).endswith("ZeroDivisionError: division by zero")
    assert fields[0].keys() == {"time", "level", "logger", "process", "message"}


def test_our_lines_are_json_where_the_application_has_a_format_of_its_own() -> None:
    """An operator has chosen it; the application keeps its own lines."""
    shown = said(
        "import sys\nlogging.basicConfig(level=20, stream=sys.stdout)\nmine.warning('of mine')\nours.info('ours')\n"
    )
    assert [line["message"] for line in shown] == ["ours"]
    both = "logging.basicConfig(level=20, format='{\"mine\": \"%(name)s\"}')\nmine.info('of mine')\nours.info('ours')\n"
    assert [line.get("message", "mine") for line in said(both)] == ["mine", "ours"]


def test_every_record_has_the_connection_that_the_running_code_serves() -> None:
    """In JSON where there is one; in a format of the application's by `towpath_connection`."""
    source = (
        "from channel_layer.log_format.logged_connection import LOGGED_CONNECTION\n"
        "ours.info('none')\nLOGGED_CONNECTION.set('i.1!7')\nours.info('one')\n"
        "logging.basicConfig(level=20, format='{\"c\": \"%(towpath_connection)s\"}')\nmine.info('mine')\n"
    )
    none, one, mine = said(source)
    assert "connection" not in none
    assert one["connection"] == mine["c"] == "i.1!7"
