"""How a process of Towpath logs: to standard error, one line each, or as a configuration file says.

`--log-level` takes uvicorn's words; `trace` is below debug. `--log-config` is a file in the format of `logging.config`: JSON, YAML or ini.
"""

from __future__ import annotations

import json
import logging
import logging.config
import sys
import traceback
from pathlib import Path

TRACE = 5
OURS = "towpath"
FRAMES_SHOWN = 6
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class NoLogConfig(ValueError):
    """A level or a file that cannot be used; the text is one sentence for a person."""


def set_up(level: str, config: str | None) -> None:
    """Set the root of all loggers up, or raise NoLogConfig."""
    logging.addLevelName(TRACE, "TRACE")
    number = TRACE if level.lower() == "trace" else logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise NoLogConfig(f"{level!r} is not a log level: critical, error, warning, info, debug, trace")
    logging.basicConfig(level=logging.WARNING, format=FORMAT)
    for handler in logging.getLogger().handlers:
        handler.addFilter(_not_said_already)
    logging.getLogger(OURS).setLevel(number)
    if config is not None:
        _read(Path(config))


def stack_of(thread: int) -> str:
    """The lines where a thread stands, by its number (`threading.get_ident`). From any thread."""
    return "".join(traceback.format_stack(sys._current_frames().get(thread), FRAMES_SHOWN)).rstrip()


def _not_said_already(record: logging.LogRecord) -> bool:
    """Did no handler between the logger and the root show this line? Django brings one along: each line would come twice."""
    if record.name.startswith(OURS):
        return True
    logger: logging.Logger | None = logging.getLogger(record.name)
    while logger is not None and logger.parent is not None:
        if any(_shows(handler, record) for handler in logger.handlers):
            return False
        logger = logger.parent
    return True


def _shows(handler: logging.Handler, record: logging.LogRecord) -> bool:
    """On a stream where our line would stand too."""
    here = isinstance(handler, logging.StreamHandler) and handler.stream in (sys.stdout, sys.stderr)
    return here and record.levelno >= handler.level and bool(handler.filter(record))


def _read(path: Path) -> None:
    try:
        if path.suffix == ".json":
            logging.config.dictConfig(json.loads(path.read_text("utf-8")))
        elif path.suffix in (".yaml", ".yml"):
            import yaml

            logging.config.dictConfig(yaml.safe_load(path.read_text("utf-8")))
        else:
            logging.config.fileConfig(str(path), disable_existing_loggers=False)
    except Exception as error:  # such a file names classes and arguments: it is the user's code
        raise NoLogConfig(f"{path} cannot be used as a log configuration: {_shown(error)}") from error


def _shown(error: BaseException) -> str:
    """In one line, with what was underneath: `logging.config` itself says only which part of the file it was."""
    text = " ".join(str(error).split()) or type(error).__name__
    return f"{text}: {_shown(error.__cause__)}" if error.__cause__ is not None else text
