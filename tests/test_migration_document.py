"""docs/migrating.md names each option of the installed uvicorn, gunicorn and Daphne, and no option of ours that there is not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support import other_servers
from towpath.config import foreign_options
from towpath.config.options import ROWS

TEXT = (Path(__file__).resolve().parent.parent / "docs" / "migrating.md").read_text("utf-8")
OURS = {flag: row for row in ROWS for flag in row.flags.split("/")}
#: Options of one command that are in no table.
ALSO_OURS = {"--check", *foreign_options.BINDS, foreign_options.WORKERS}
UNITS = {"": 1, "s": 1, "KiB": 1024, "MiB": 1024**2}
FLAG = re.compile(r"(?<![\w-])(--?[a-zA-Z][\w-]*)")


def section(title: str) -> str:
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(title: str) -> list[tuple[str, str, str]]:
    """The options of one table: theirs, ours, and the difference."""
    found = re.findall(r"^\| (`-[^|]*) \| ([^|]*) \| ([^|]*?) ?\|$", section(title), re.MULTILINE)
    return [(theirs, ours, rest) for theirs, ours, rest in found]


def flags(text: str) -> set[str]:
    return {flag for span in re.findall(r"`([^`]+)`", text) for flag in FLAG.findall(span)}


@pytest.mark.parametrize("server", ["uvicorn", "gunicorn", "Daphne"])
def test_each_option_of_the_server_has_its_line(server: str) -> None:
    """Also one that a new version of it brings."""
    installed: set[str] = getattr(other_servers, server.lower())()
    listed = {flag for theirs, _, _ in rows(server) for flag in flags(theirs)}
    assert sorted(installed - listed) == []


@pytest.mark.parametrize("server", ["uvicorn", "gunicorn", "Daphne"])
def test_what_is_called_the_same_is_and_what_is_called_refused_is(server: str) -> None:
    """The page says what the command line does."""
    for theirs, ours, _ in rows(server):
        for flag in flags(theirs):
            if ours.startswith("the same"):
                assert flag in OURS or flag in ALSO_OURS, flag
            elif ours == "refused":
                assert flag not in OURS and foreign_options.answer(flag), flag


def test_each_option_of_ours_that_the_page_names_exists() -> None:
    """In the columns that tell what to write, and in the text."""
    named = {
        flag
        for server in ("uvicorn", "gunicorn", "Daphne")
        for _, *rest in rows(server)
        for flag in flags(" ".join(rest))
    }
    for title in ("A configuration file", "Defaults that differ"):
        named |= flags(section(title))
    named -= {"--print-config", "--check-config", "-c", "-p"}  # gunicorn's and Daphne's, in a sentence
    assert len(named) > 40
    assert sorted(named - set(OURS) - ALSO_OURS) == []


def test_each_default_of_ours_on_the_page_is_the_default() -> None:
    found = re.findall(r"`(--[a-z-]+)` (?:(\d+) ?(s|KiB|MiB|)|(on|off))(?=[,; ])", section("Defaults that differ"))
    assert len(found) > 12
    for flag, number, unit, switch in found:
        expected = switch == "on" if switch else int(number) * UNITS[unit]
        assert OURS[flag].default == expected, flag


def test_the_file_on_the_page_is_one() -> None:
    """It can be copied."""
    import tomllib

    from towpath.config import config_file

    text = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)[0]
    values = config_file.read(tomllib.loads(text), "serve", ROWS, "site.toml").values
    assert values["workers"] == 4 and values["app"] == "mysite.wsgi"
