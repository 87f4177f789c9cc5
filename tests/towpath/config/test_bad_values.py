"""A value that is none, by each way that a setting can take: the error names the setting as it was written, and what would be right."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from towpath import command_line
from towpath.config.config_file import FLAG, SECONDS, SIZE, WHOLE, kind_of, shown
from towpath.config.option_row import PROCESSES, SERVE, WORKER, Row
from towpath.config.options import ROWS

#: Of options that take a text: one that is none, and a part of what would be right.
TEXTS = {
    "host": ("", "0.0.0.0 listens on all IPv4 addresses"),
    "admin_host": ("", "0.0.0.0 listens on all IPv4 addresses"),
    "uds_permissions": ("9", "octal number such as 660"),
    "redis": ("http://:hush@x", "begins with none of redis://"),
    "redis_url_file": ("", "no path of a file"),
    "encryption_key_file": ("/nowhere", "does not exist"),
    "encryption_keys": ("hush", "32"),
    "loop": ("trio", "'auto', 'uvloop', 'asyncio'"),
    "interface": ("2", "did you mean --interfaces 2?"),
    "lifespan": ("maybe", "'auto', 'on', 'off'"),
    "sticky": ("yes", "'off', 'cookie', 'address'"),
    "generation": ("web", "web"),
    "env_file": ("/nowhere", "does not exist"),
    "config": ("/nowhere", "does not exist"),
    "root_path": ("foo", "does not begin with a slash"),
    "forwarded_allow_ips": ("bogus", "bogus"),
    "header": ("no colon", "of the form NAME:VALUE"),
    "health_path": ("health", "health"),
    "access_log_format": ("%(nonsense)s", "nonsense"),
    "log_format": ("xml", "'text', 'json'"),
    "log_level": ("loud", "'critical', 'error', 'warning'"),
    "log_config": ("/nowhere", "does not exist"),
    "run_dir": (__file__, "is a file"),
    "reload_dir": ("/nowhere", "does not exist"),
    "channel": ("a/b", "a/b"),
    "channel_delivery": ("twice", "'at-most-once', 'at-least-once'"),
    "channel_dead_letter": ("a/b", "a/b"),
}
#: Options for which every text is right; what is wrong with it shows later.
ANY_TEXT = {"uds", "prefix", "app_dir", "reload_include", "reload_exclude"}
SECRET = {"redis", "encryption_keys"}
RIGHT = {
    WHOLE: "is not a whole number from",
    SECONDS: "is not a number of seconds from",
    SIZE: "is not a size in bytes such as",
}
CHECKED = [row for row in ROWS if row.name not in ANY_TEXT and row.commands & PROCESSES]


def wrong(row: Row) -> tuple[str, str]:
    """A value as a text, and a part of what would be right."""
    kind = kind_of(row)
    if kind is FLAG:
        return "maybe", "'maybe' is neither true nor false"
    return ("x", f"'x' {RIGHT[kind]}") if kind in RIGHT else TEXTS[row.name]


def error_of(capsys: pytest.CaptureFixture[str], row: Row, *words: str) -> str:
    """The one sentence with which the command ends that has this option."""
    command = SERVE if SERVE in row.commands else "interface" if "interface" in row.commands else WORKER
    assert command_line.run(["config", command, *words], lambda: None) == 3
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("towpath: ") and said.err.count("\n") == 1
    return said.err


@pytest.mark.parametrize("row", [row for row in CHECKED if kind_of(row) is not FLAG], ids=lambda row: row.key)
def test_on_the_command_line_it_is_named_by_its_flag(row: Row, capsys: pytest.CaptureFixture[str]) -> None:
    """P12."""
    if row.name == "encryption_keys":
        return  # refused there, whatever the value
    value, right = wrong(row)
    said = error_of(capsys, row, row.flags, value)
    assert f"Invalid value for '{row.flags}': " in said and right in said
    assert ("hush" if row.name in SECRET else value) in said or row.name in SECRET
    assert "hush" not in said


@pytest.mark.parametrize("row", CHECKED, ids=lambda row: row.key)
def test_in_the_environment_it_is_named_by_its_variable(
    row: Row, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """P12."""
    value, right = wrong(row)
    if not value:
        return  # an empty variable counts as not set
    monkeypatch.setenv(row.env, value)
    said = error_of(capsys, row)
    assert f"Invalid value for '{row.env}': " in said and right in said
    assert value in said or row.name in SECRET
    assert "hush" not in said


@pytest.mark.parametrize("row", [row for row in CHECKED if row.in_file], ids=lambda row: row.key)
def test_in_a_file_it_is_named_by_its_key(row: Row, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """P12. Of another type in TOML, and of the right type with a value that is none."""
    value, right = wrong(row)
    file = tmp_path / "site.toml"
    kind = kind_of(row)
    if kind in (FLAG, WHOLE, SECONDS):
        file.write_text(f'{row.key} = "{value}"')
        said = error_of(capsys, row, "--config", str(file))
        assert (
            said
            == f'towpath: {file}: {row.key} = "{value}" is not {kind.name}, such as {said.partition("such as ")[2]}'
        )
        if kind is FLAG:
            return
        value, right = "-1", f"-1 {RIGHT[kind]}"
        file.write_text(f"{row.key} = {value}")
    else:
        file.write_text(f"{row.key} = {shown([value] if row.more.get('multiple') else value)}")
    said = error_of(capsys, row, "--config", str(file))
    assert f"Invalid value for '{row.key} in {file}': " in said and right in said
    assert "hush" not in said


def test_every_option_is_in_one_of_these_tables() -> None:
    """A new option whose values can be wrong is tested by all three ways."""
    texts = {row.name for row in ROWS if kind_of(row) not in (*RIGHT, FLAG)}
    assert texts == set(TEXTS) | ANY_TEXT
    assert all(isinstance(row.type, click.ParamType) for row in CHECKED if kind_of(row) is not FLAG)


@pytest.mark.parametrize(
    ("words", "text", "said"),
    [
        (["--port", "99999"], "", "'--port': 99999 is not a whole number from 0 to 65535"),
        (["--workers", "0"], "", "'--workers': 0 is not a whole number from 1 to 1024"),
        (["--queue-wait", "-1"], "", "'--queue-wait': -1 is not a number of seconds from 0 to 1,000,000,000"),
        ([], "ws-max-size = 0", "0 is less than 1, which is the least"),
        ([], "max-head-size = '2MiB'", "'2MiB' is more than 1048576, which is the most"),
        ([], "[serve]\nport = 99999", "'serve.port in {file}': 99999 is not"),
        ([], "x = [", "{file} is not a TOML file: "),
    ],
)
def test_what_is_out_of_range_is_told_the_range(
    words: list[str], text: str, said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """P12."""
    file = tmp_path / "site.toml"
    file.write_text(text)
    assert said.format(file=file) in error_of(capsys, ROWS[-1], "--config", str(file), *words)


def test_a_configuration_of_gunicorn_is_recognized(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """It is Python."""
    file = tmp_path / "gunicorn.conf.py"
    file.write_text("import multiprocessing\nworkers = 4\n")
    assert "it is Python, and docs/migrating.md says" in error_of(capsys, ROWS[-1], "--config", str(file))
    file.write_bytes(b"\xff")
    assert "is not a TOML file" in error_of(capsys, ROWS[-1], "--config", str(file))
