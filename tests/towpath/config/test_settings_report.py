"""The settings in force as text: a file that says the same, without secrets."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest

from tests.towpath.config.parsing import parse
from towpath.config import settings_report
from towpath.config.option_row import SERVE, Row
from towpath.config.options import ROWS
from towpath.config.settings_report import Setting

ROW = {row.name: row for row in ROWS}


def setting(name: str, value: Any) -> Setting:
    return settings_report.setting(ROW[name], value, "default")


@pytest.mark.parametrize(
    ("name", "text", "written"),
    [
        ("ws_max_size", "2MiB", "2MiB"),
        ("max_body_size", "0", 0),
        ("max_body_size", "1000", 1000),
        ("queue_wait", "30", 30),
        ("queue_wait", "1.5", 1.5),
        ("health_path", "off", "off"),
        ("header", "X-A:b", ["X-A: b"]),
        ("redis_url_file", "/run/redis url", "/run/redis url"),
        ("reload_include", "*.html", ["*.html"]),
        ("access_log", "false", False),
    ],
)
def test_a_value_is_shown_as_it_would_be_written(name: str, text: str, written: object) -> None:
    """With its unit, and not as the option has parsed it."""
    given = parse(SERVE, env={ROW[name].env: text})[name]
    assert setting(name, given).value == written


def test_no_secret_is_shown() -> None:
    """Passwords of Redis and of Sentinels, and encryption keys; the line with one is a comment, as it could not be used."""
    for name, value in (
        ("redis", "redis://user:hush@host:1/2"),
        ("redis", "redis+sentinel://:hush@a,b/main?sentinel_password=hush"),
        ("encryption_keys", ("hush" * 8,)),
    ):
        each = setting(name, value)
        assert each.secret and "***" in each.value
        text = settings_report.as_toml(SERVE, [each]) + settings_report.as_json([each])
        assert "hush" not in text
        assert text.splitlines()[1].startswith("# ")
    assert not setting("redis", "redis://host").secret


def test_the_text_is_a_file_with_a_comment_on_each_line() -> None:
    shown = settings_report.as_toml(SERVE, [setting("host", "::"), setting("uds", None), setting("port", 80)])
    assert shown.splitlines() == [
        "[serve]",
        'host = "::"  # default',
        "# uds        # default",
        "port = 80    # default",
    ]
    assert tomllib.loads(shown) == {"serve": {"host": "::", "port": 80}}


def test_programs_get_each_value_and_its_source() -> None:
    assert json.loads(settings_report.as_json([setting("uds", None), setting("port", 80)])) == {
        "uds": {"value": None, "from": "default"},
        "port": {"value": 80, "from": "default"},
    }


def test_keys_that_are_not_given_are_no_secret() -> None:
    row: Row = ROW["encryption_keys"]
    assert settings_report.setting(row, row.default, "default").value is None
