"""OPERATIONS.md lists every option that there is, with its default, and none that there is not."""

from __future__ import annotations

import re
from pathlib import Path

from towpath.config.options import ROWS, Row

TEXT = (Path(__file__).resolve().parent.parent / "OPERATIONS.md").read_text("utf-8")
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
