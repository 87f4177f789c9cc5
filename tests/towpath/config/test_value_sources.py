"""Where a value comes from, as its user wrote it."""

from __future__ import annotations

import click
import pytest

from towpath.config import value_sources
from towpath.config.config_file import ConfigFile

VARIABLES = ("TOWPATH_PORT", "PORT")


def context(*words: str, config: bool = False, env_file: bool = False) -> click.Context:
    """A command with one option, as click has parsed it."""

    def note(ctx: click.Context, _param: click.Parameter, value: bool) -> bool:
        if config:
            value_sources.note_config(ctx, ConfigFile("site.toml", {"port": 4}, {"port": "serve.port"}))
            ctx.default_map = {"port": 4}
        if env_file:
            value_sources.note_env_file(ctx, ".env", {"PORT"})
        return value

    first = click.Option(["--first"], is_flag=True, is_eager=True, callback=note)
    port = click.Option(["--port"], envvar=VARIABLES, default=1, type=int)
    return click.Command("serve", params=[first, port]).make_context("serve", list(words))


def names(ctx: click.Context) -> tuple[str, str]:
    param = ctx.command.params[1]
    return value_sources.source(ctx, param), value_sources.as_written(ctx, param)


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_a_flag_and_a_default_are_named_by_the_flag() -> None:
    assert names(context("--port", "3", config=True)) == ("command line", "--port")
    assert names(context()) == ("default", "--port")


def test_a_variable_is_named_with_the_file_that_has_set_it(no_variable: pytest.MonkeyPatch) -> None:
    """The first one that is set; one that holds a service link is not."""
    no_variable.setenv("PORT", "2")
    no_variable.setenv("TOWPATH_PORT", "")
    assert names(context(config=True)) == ("PORT", "PORT")
    assert names(context(env_file=True)) == ("PORT in .env", "PORT in .env")


def test_a_key_is_named_with_its_file() -> None:
    assert names(context(config=True)) == ("serve.port in site.toml", "serve.port in site.toml")
