"""OPERATIONS.md lists every option, counter, status and close code that there is, and none that there is not."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from pathlib import Path

from channel_layer.protocol import close_codes
from interface_server.connections.interfaces import EndReason
from interface_server.connections.transitions import MAY_REQUEUE, MOVES, Action, Trigger
from towpath.config.option_row import Row
from towpath.config.options import ROWS

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "OPERATIONS.md").read_text("utf-8")
STATUSES = frozenset(status.value for status in HTTPStatus if status >= 400)
CLOSE_CODES = range(1000, 2000)
LISTED = {
    row[0]: row
    for row in re.findall(r"^\| `(--[a-z-]+)`[^|]*\| ([SIW ]+) \| ([^|]*) \| ([^|]*) \|$", TEXT, re.MULTILINE)
}
LETTERS = {"serve": "S", "interface": "I", "worker": "W"}
UNITS = {"KiB": 1024, "MiB": 1024**2}


def flag(row: Row) -> str:
    return row.flags.split("/")[0]


def test_every_option_is_listed_and_no_other() -> None:
    """An operator reads this table and not the source."""
    assert sorted(LISTED) == sorted(map(flag, ROWS))


def test_each_option_is_listed_for_the_commands_that_know_it() -> None:
    """S, I, W in the second column."""
    for row in ROWS:
        letters = [letter for command, letter in LETTERS.items() if command in row.commands]
        assert LISTED[flag(row)][1].split() == letters, row.flags


def test_each_number_that_is_listed_as_a_default_is_the_default() -> None:
    """A default that moves in the code moves here."""
    for row in ROWS:
        shown = LISTED[flag(row)][2]
        number = re.match(r"(\d+(?: \d{3})*)(?: (KiB|MiB))?", shown)
        if number is not None:
            assert int(number[1].replace(" ", "")) * UNITS.get(number[2], 1) == row.default, f"{row.flags}: {shown}"
        elif shown in ("on", "off"):
            assert bool(row.default) == (shown == "on"), f"{row.flags}: {shown}"


# Counters

PACKAGES = ("channel_layer", "interface_server", "worker")
#: A name that is put together when it is counted: what may stand behind the first part.
FAMILIES: dict[str, Callable[[], set[str]]] = {
    "refused.": lambda: request_errors(),
    "ended.": lambda: {reason.name.lower() for reason in EndReason},
    "broken.": lambda: {"longer", "shorter"},
    "closed.websocket_": lambda: {"<code>"},
    "refused.websocket_": lambda: {"<status>"},
    "closed.": lambda: first_arguments("_end_slow"),
    "aborted.": lambda: counters_of_terminations(),
    "requeued.": lambda: {trigger.name.lower() for trigger in (*MAY_REQUEUE, *requeueing())},
}


def requeueing() -> set[Trigger]:
    """The triggers that lead to another epoch, by the table."""
    return {
        trigger for moves in MOVES.values() for trigger, (_, action) in moves.items() if action is Action.OPEN_AGAIN
    }


@cache
def nodes() -> tuple[ast.AST, ...]:
    """The syntax of the three packages that count."""
    return tuple(
        node
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
    )


def called(node: ast.Call) -> str:
    """The last part of the name of what is called."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def texts(node: ast.AST) -> list[str]:
    return [each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)]


def first_arguments(*names: str) -> set[str]:
    """The texts that the calls of these begin with."""
    calls = [node for node in nodes() if isinstance(node, ast.Call) and node.args and called(node) in names]
    return {text for call in calls for text in texts(call.args[0])}


def counters_of_terminations() -> set[str]:
    """What counts the WebSockets that are cut off: the keyword argument `counter`."""
    calls = [node for node in nodes() if isinstance(node, ast.Call) and called(node) == "Termination"]
    return {text for call in calls for each in call.keywords if each.arg == "counter" for text in texts(each.value)}


def request_errors() -> set[str]:
    """The names with which requests are refused: the third argument."""
    calls = [node for node in nodes() if isinstance(node, ast.Call) and called(node) == "RequestError"]
    return {text for call in calls if len(call.args) > 2 for text in texts(call.args[2])}


def counted() -> set[str]:
    """Every name that the code counts."""
    names = {text for text in first_arguments("log") if re.fullmatch(r"dropped\.[a-z_]+", text)}
    for node in nodes():
        if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("counters"):
            first, *more = texts(node.slice) or [""]
            if isinstance(node.slice, ast.Constant):
                names.add(first)
            elif first:  # put together
                assert not more, first
                names.update(first + rest for rest in FAMILIES[first]())
    return names


def test_every_counter_is_listed_and_no_other() -> None:
    """What `towpath status` shows can be looked up, and what is described is counted."""
    listed = re.findall(r"^\| `([a-z]+\.[a-z_<>]+)` \| (?:I|W|both) \| [^|]+ \| [^|]+ \|$", TEXT, re.MULTILINE)
    assert sorted(listed) == sorted(counted())


# Status and close codes


def test_every_status_that_towpath_answers_with_is_listed_and_no_other() -> None:
    """Those of an end (`EndReason`), and those that the interface server answers with before there is a connection."""
    answers = {reason.status for reason in EndReason}
    for path in sorted((ROOT / "interface_server").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                answers.update(
                    each.value
                    for given in (*node.args[:1], *(each.value for each in node.keywords if each.arg == "status"))
                    for each in ast.walk(given)
                    if isinstance(each, ast.Constant) and type(each.value) is int and each.value in STATUSES
                )
    assert sorted(map(int, re.findall(r"^\| ([45]\d\d) \| ", TEXT, re.MULTILINE))) == sorted(answers)


def test_every_close_code_that_towpath_uses_is_listed_and_no_other() -> None:
    """Those of channel_layer/protocol/close_codes.py, of which an end is one."""
    codes = {
        value
        for name, value in vars(close_codes).items()
        if name.isupper() and type(value) is int and value in CLOSE_CODES
    }
    assert {reason.close_code for reason in EndReason} <= codes
    assert sorted(map(int, re.findall(r"^\| (1\d\d\d) \| ", TEXT, re.MULTILINE))) == sorted(codes)


# Log lines


def test_every_logger_is_listed_and_no_other() -> None:
    """What an operator may set a level for; Autobahn's is a part of the interface server's."""
    line = TEXT[TEXT.index("Loggers: ") : TEXT.index("Lines about one connection")]
    listed = {name if name.startswith("towpath") else f"towpath{name}" for name in re.findall(r"`([\w.]+)`", line)}
    made = {text for text in first_arguments("getLogger") if text.startswith("towpath.")}
    assert listed == made - {"towpath.interface.autobahn"}


def test_every_line_that_deserves_an_alarm_is_a_line_that_is_logged() -> None:
    """An alarm on a line that is worded otherwise never rings."""
    written = "\n".join(
        text
        for package in (*PACKAGES, "towpath")
        for path in sorted((ROOT / package).rglob("*.py"))
        for text in texts(ast.parse(path.read_text("utf-8")))
    )
    logs = [node for node in nodes() if isinstance(node, ast.Call) and called(node) == "RejectionLog"]
    written += "".join(f"\nRedis refused {text}" for call in logs for text in texts(call.args[1]))
    begin, end = TEXT.index("What deserves an alarm"), TEXT.index("## Status and close codes")
    rows = re.findall(r"^\| (`.+?`) \| ", TEXT[begin:end], re.MULTILINE)
    quoted = [part for row in rows for line in re.findall("`([^`]+)`", row) for part in line.split("…")]
    missing = [part for part in quoted if part.strip(" :") and part.strip(" :") not in written]
    assert len(rows) > 25 and not missing
