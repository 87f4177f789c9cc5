"""The two files with further settings, as click takes them: which value counts, and what happens without the file."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from tests.towpath.config.parsing import parse
from towpath.config.option_row import SERVE, STOP
from towpath.errors import StartFailure


def write(folder: Path, text: str) -> str:
    path = folder / "site.toml"
    path.write_text(text)
    return str(path)


def test_a_value_of_the_file_is_parsed_as_on_a_command_line(tmp_path: Path) -> None:
    """The same types, ranges and units."""
    text = 'ws-max-size = "2MiB"\nqueue-wait = 3\nheader = ["X-A: b"]\nhealth-path = "off"\nproxy-headers = false\nreload = true\n'
    given = parse(SERVE, "--config", write(tmp_path, text))
    assert given["ws_max_size"] == 2 * 1024**2 and given["queue_wait"] == 3.0 and given["header"] == (("X-A", "b"),)
    assert (given["health_path"], given["proxy_headers"], given["reload"]) == ("", False, True)


def test_the_command_line_and_variables_come_before_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, 'threads = 2\nworkers = 2\nheader = ["a: b"]\n')
    given = parse(SERVE, "--threads", "3", "--header", "c: d", env={"TOWPATH_CONFIG": file, "WEB_CONCURRENCY": "4"})
    assert (given["threads"], given["workers"], given["header"]) == (3, 4, (("c", "d"),))


def test_what_a_command_has_not_is_left_out(tmp_path: Path) -> None:
    """`stop` has a port, and no threads."""
    assert parse(STOP, "--config", write(tmp_path, "port = 81\nthreads = 2\n"))["port"] == 81


def test_a_file_may_begin_with_the_mark_of_utf_8(tmp_path: Path) -> None:
    """Editors on Windows write it."""
    assert parse(SERVE, "--config", write(tmp_path, "\ufeffthreads = 2\n"))["threads"] == 2


def test_a_key_that_stands_there_twice_is_named(tmp_path: Path) -> None:
    for text in ("threads = 2\nthreads = 3\nport = 81\n", "port = 81\nthreads = 2\nthreads = 3"):
        with pytest.raises(StartFailure, match="has threads twice"):
            parse(SERVE, "--config", write(tmp_path, text))


def test_a_file_that_is_none_ends_the_start(tmp_path: Path) -> None:
    with pytest.raises(click.BadParameter, match="does not exist"):
        parse(SERVE, "--config", str(tmp_path / "nowhere"))
    with pytest.raises(StartFailure, match="is not a TOML file: "):
        parse(SERVE, "--config", write(tmp_path, "threads: 2"))
    (tmp_path / "env").write_text(f"TOWPATH_CONFIG={tmp_path / 'nowhere'}\n")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(StartFailure, match="cannot be read: No such file"):
        patch.setenv("TOWPATH_CONFIG", "")
        patch.delenv("TOWPATH_CONFIG")
        parse(SERVE, env={"TOWPATH_ENV_FILE": str(tmp_path / "env")})
