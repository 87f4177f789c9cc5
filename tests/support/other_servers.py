"""The options of the installed uvicorn, gunicorn and Daphne, by their names on a command line."""

from __future__ import annotations

import importlib

import click

#: What every program has, with the same meaning.
EVERYWHERE = frozenset({"-h", "--help", "--version"})


def uvicorn() -> set[str]:
    command: click.Command = importlib.import_module("uvicorn.main").main
    options = [param for param in command.params if isinstance(param, click.Option)]
    return {name for option in options for name in (*option.opts, *option.secondary_opts)} - EVERYWHERE


def gunicorn() -> set[str]:
    known = importlib.import_module("gunicorn.config").KNOWN_SETTINGS
    return {name for setting in known for name in setting.cli or ()} - EVERYWHERE


def daphne() -> set[str]:
    parser = importlib.import_module("daphne.cli").CommandLineInterface().parser
    return {name for action in parser._actions for name in action.option_strings} - EVERYWHERE
