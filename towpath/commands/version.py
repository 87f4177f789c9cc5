"""Shows which Towpath this is: its version, and whether its core is compiled."""

from __future__ import annotations

import platform
from importlib.util import find_spec

import click

from channel_layer.version import PACKAGE_VERSION

#: The extension module with the code of all compiled modules (setup.py). Each version of Python looks for one of its own.
CORE = "channel_layer.core__mypyc"


def build() -> str:
    """How the core of this Towpath runs here, and on which Python."""
    kind = "interpreted" if find_spec(CORE) is None else "compiled core"
    return f"{kind}, {platform.python_implementation()} {platform.python_version()}"


def show(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    """Show the version and exit, if it is wanted."""
    if wanted and not context.resilient_parsing:
        click.echo(f"towpath {PACKAGE_VERSION} ({build()})")
        context.exit()
