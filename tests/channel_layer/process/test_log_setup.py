"""What a process logs, and what it leaves to the application. In a process of its own: the log of this one is pytest's."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

#: The logger that Django sets up: its handler shows lines while DEBUG is on, and only then.
LOGGING = """
import logging.config, sys
from channel_layer.process import log_setup
log_setup.set_up("info", None)
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


#: As in many an application, at its top.
BASIC = "import logging\nlogging.basicConfig(level=logging.INFO, format='BASIC %(name)s %(message)s')\n"
SET_UP = "from channel_layer.process import log_setup\nlog_setup.set_up('info', None)\n"


def said(source: str, cwd: Path | None = None) -> str:
    """Standard error of a process that runs `source`."""
    command = [sys.executable, "-c", source]
    home = {"PYTHONPATH": str(Path(__file__).parents[3])}
    return subprocess.run(command, cwd=cwd, env=home, capture_output=True, text=True, check=True, timeout=60).stderr


def test_basic_config_of_the_application_works_as_it_does_everywhere() -> None:
    """It does nothing where the root has a handler already: its lines at `info` would be lost."""
    lines = "logging.getLogger('mine').info('of mine')\nlogging.getLogger('towpath.worker').info('of ours')\n"
    assert said(SET_UP + BASIC + lines) == "BASIC mine of mine\nBASIC towpath.worker of ours\n"


@pytest.mark.parametrize("call", ["logging.warning('once')", "logging.basicConfig(level=logging.INFO)"])
def test_our_lines_keep_their_time_where_nobody_has_chosen_a_format(call: str) -> None:
    """Python's default has no time; the application's own lines stay as they are everywhere. Each is shown once."""
    lines = "logging.getLogger('mine').error('of mine')\nlogging.getLogger('towpath.worker').info('of ours')\n"
    shown = said(f"{SET_UP}import logging\nlog_setup.keep_ours()\n{call}\n{lines}").splitlines()
    assert shown[-2] == "ERROR:mine:of mine"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d [\d:,]+ INFO towpath.worker: of ours", shown[-1])
    assert len(shown) == 2 + ("warning" in call)


@pytest.mark.parametrize(
    "handler",
    ["logging.handlers.QueueHandler(queue.Queue())", "type('Rich', (logging.NullHandler,), {'console': 1})()"],
)
def test_handlers_that_end_on_the_console_show_a_line_alone(handler: str) -> None:
    """By another thread, or in colours."""
    root = f"import logging, logging.handlers, queue\nlogging.getLogger().addHandler({handler})\n"
    assert said(f"{SET_UP}{root}logging.getLogger('mine').warning('once')\n") == ""


def test_a_file_at_the_root_is_no_reason_for_silence_and_brings_no_noise(tmp_path: Path) -> None:
    """What goes to a file at debug is not meant for the console; a warning, and what we say, stands in both."""
    root = "import logging\nlogging.basicConfig(filename='all.log', level=logging.DEBUG)\n"
    lines = "logging.getLogger('mine').info('noise')\nlogging.getLogger('mine').warning('mine')\n"
    shown = said(f"{SET_UP}{root}{lines}logging.getLogger('towpath.worker').info('ours')\n", tmp_path)
    assert [line.rpartition(": ")[2] for line in shown.splitlines()] == ["mine", "ours"]
    assert (tmp_path / "all.log").read_text().count("\n") == 3


def test_a_configuration_that_disables_existing_loggers_does_not_silence_us() -> None:
    """That is its default, and nobody means it: the application's own tracebacks would be lost."""
    ours = "import logging.config\nours = logging.getLogger('towpath.worker')\n"
    django = "logging.config.dictConfig({'version': 1})\n"
    assert "lost?" not in said(f"{SET_UP}{ours}{django}ours.error('lost?')\n")
    assert "lost?" in said(f"{SET_UP}{ours}{django}log_setup.keep_ours()\nours.error('lost?')\n")


@pytest.mark.parametrize("root", [True, False])
def test_a_log_configuration_that_names_the_root_decides_alone(tmp_path: Path, root: bool) -> None:
    """--log-config: who sends everything to a file finds nothing beside it; who sets up loggers of their own loses nothing."""
    config: dict[str, object] = {
        "version": 1,
        "handlers": {"f": {"class": "logging.FileHandler", "filename": "all.log"}},
    }
    config["root" if root else "loggers"] = {"handlers": ["f"]} if root else {"mine": {"handlers": ["f"]}}
    (tmp_path / "log.json").write_text(json.dumps(config))
    line = (
        "import logging\nlogging.getLogger('mine').warning('odd')\nlogging.getLogger('towpath.worker').info('ours')\n"
    )
    shown = said(f"{SET_UP.replace('None', repr('log.json'))}{line}", tmp_path)
    assert ("odd" in shown, "ours" in shown) == (not root, not root)
    assert "odd" in (tmp_path / "all.log").read_text()


def test_what_the_application_writes_elsewhere_is_shown_here_too() -> None:
    """A file of its own is no reason for silence."""
    said = "logging.getLogger('mine').addHandler(logging.NullHandler())\nlogging.getLogger('mine').error('lost?')\n"
    ended = subprocess.run(
        [sys.executable, "-c", f"DEBUG = True\n{LOGGING}{said}"], capture_output=True, text=True, check=True, timeout=60
    )
    assert "ERROR mine: lost?" in ended.stderr
