"""Sets up the logging of a process: to standard error, one line each, or by a configuration file.

Our own handler never waits for a reader of standard error (log_output.py). A handler of the application does, if it is of the
usual kind.

`--log-level` takes the levels of uvicorn; `trace` is below debug. `--log-format` is `text` or `json`. `--log-config` is a file in a
format of `logging.config`: JSON, YAML or ini.

Our handler stands behind the root of all loggers and not at it. `logging.basicConfig` does nothing if the root has a handler, and
many applications call it: they want their own lines, at their own level and in their own format.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from pathlib import Path

from channel_layer.process.log_output import LogOutput

STANDARD_ERROR = 2
TRACE = 5
OURS = "towpath"
FRAMES_SHOWN = 6
TEXT, JSON = "text", "json"  #: values of --log-format
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class NoLogConfig(ValueError):
    """A level or a file that cannot be used; the text is one sentence for a person."""


def set_up(level: str, config: str | None, form: str = TEXT, process: str = "python") -> None:
    """Set up the handler that shows lines which no other handler shows. Raises NoLogConfig.

    form: TEXT or JSON. process: the name of this process in JSON, where supervisord has given none to it.
    """
    logging.addLevelName(TRACE, "TRACE")
    number = TRACE if level.lower() == "trace" else logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise NoLogConfig(f"{level!r} is not a log level: critical, error, warning, info, debug, trace")
    if form == JSON or config is not None:
        from channel_layer.log_format.logged_connection import name_connections

        name_connections()
    logging.root.parent = _behind_the_root(_formatter(form, process))
    logging.getLogger(OURS).setLevel(number)
    if config is not None:
        _apply(Path(config))


def keep_ours() -> None:
    """Enable our loggers again, after the application may have set up logging.

    `disable_existing_loggers` is on in a configuration that does not set it, and the tracebacks of the application would be lost
    with it.
    """
    for name, logger in logging.root.manager.loggerDict.items():
        if _is_ours(name) and isinstance(logger, logging.Logger):
            logger.disabled = False
    ours = logging.getLogger(OURS)
    if not any(isinstance(handler, _OwnFormat) for handler in ours.handlers):
        ours.addHandler(_OwnFormat())


def stack_of(thread: int) -> str:
    """The stack of a thread, by its number (`threading.get_ident`). From any thread."""
    return "".join(traceback.format_stack(sys._current_frames().get(thread), FRAMES_SHOWN)).rstrip()


def _formatter(form: str, process: str) -> logging.Formatter:
    if form != JSON:
        return logging.Formatter(FORMAT)
    from channel_layer.log_format.json_formatter import JsonFormatter  # under --log-format json only

    return JsonFormatter(process)


def _behind_the_root(formatter: logging.Formatter) -> logging.Logger:
    handler = _OurHandler(formatter)
    handler.addFilter(_not_logged_already)
    behind = logging.Logger("behind the root")
    behind.addHandler(handler)
    return behind


class _OurHandler(logging.Handler):
    """Writes to standard error without waiting."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self._output = LogOutput(STANDARD_ERROR, self._lost)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, as a StreamHandler does."""
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - what a line is made of is the application's
            self.handleError(record)
        else:
            self._output.write(f"{line}\n".encode(errors="backslashreplace"))

    def flush(self) -> None:
        """Flush at the end of the process."""
        self._output.flush()

    def _lost(self, lines: int, unread_s: float) -> bytes:
        text = f"{lines} log lines were lost: the log was not read for {unread_s:.1f} s"
        line = logging.makeLogRecord({"name": "towpath.log", "levelname": "WARNING", "msg": text})
        return f"{self.format(line)}\n".encode()


class _OwnFormat(logging.Handler):
    """Shows nothing: keeps our lines from handlers with Python's default format, which has no time; those in JSON from every console.

    The first `logging.warning()` of an application makes such a handler, so its format is not a choice. A handler with a chosen
    format gets our lines too, unless an operator has chosen JSON.
    """

    def handle(self, record: logging.LogRecord) -> bool:
        """Filter handlers of the root before they get this line. Returns False: this handler shows nothing."""
        behind = logging.root.parent
        if behind is None:  # --log-config decides alone
            return False
        is_json = type(behind.handlers[0].formatter) is not logging.Formatter
        for handler in logging.root.handlers:
            if _ends_on_console(handler) if is_json else _has_default_format(handler):
                handler.addFilter(_is_not_ours)
        return False


def _has_default_format(handler: logging.Handler) -> bool:
    format_of = handler.formatter._fmt if handler.formatter is not None else None
    return type(handler) is logging.StreamHandler and format_of == logging.BASIC_FORMAT


def _is_not_ours(record: logging.LogRecord) -> bool:
    return not _is_ours(record.name)


def _is_ours(name: str) -> bool:
    return name == OURS or name.startswith(f"{OURS}.")


def _not_logged_already(record: logging.LogRecord) -> bool:
    """True if no handler up to the root showed this line. Django brings such a handler, and each line would appear twice.

    An application with handlers at the root has decided what becomes of lines below a warning.
    """
    if record.levelno < logging.WARNING and logging.root.handlers and not _is_ours(record.name):
        return False
    logger: logging.Logger | None = logging.getLogger(record.name)
    while logger is not None and logger is not logging.root.parent:
        if any(_shows(handler, record) for handler in logger.handlers):
            return False
        logger = logger.parent
    return True


def _shows(handler: logging.Handler, record: logging.LogRecord) -> bool:
    """True if the handler shows this record on a stream where our line would stand too."""
    return _ends_on_console(handler) and record.levelno >= handler.level and bool(handler.filter(record))


def _ends_on_console(handler: logging.Handler) -> bool:
    """This is a guess from the handler's type. A queue ends in such a stream, and so does Rich's console."""
    import logging.handlers  # here, since few applications have a handler that asks for it

    here = isinstance(handler, logging.StreamHandler) and handler.stream in (sys.stdout, sys.stderr)
    return here or isinstance(handler, logging.handlers.QueueHandler) or hasattr(handler, "console")


def _apply(path: Path) -> None:
    """Apply a configuration file. If it configures the root logger, our handler gets no lines."""
    untouched = logging.NullHandler()
    logging.root.addHandler(untouched)
    try:
        _read(path)
    finally:
        if untouched in logging.root.handlers:
            logging.root.removeHandler(untouched)
        else:
            logging.root.parent = None
    keep_ours()


def _read(path: Path) -> None:
    import logging.config  # under --log-config only

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
    """An error in one line with its causes: `logging.config` itself tells only which part of the file failed."""
    text = " ".join(str(error).split()) or type(error).__name__
    return f"{text}: {_shown(error.__cause__)}" if error.__cause__ is not None else text
