"""The one address among the options that say where to listen, or where a `serve` listens."""

from __future__ import annotations

import click
from click.core import ParameterSource

TCP = ("host", "port")
INSTEAD = ("uds", "fd")  #: each of them takes the place of a host with a port


def choose(ctx: click.Context) -> None:
    """Leave one address. UsageError if two of them were typed, or stand in one configuration file.

    A variable may be there for another reason (platforms set PORT), so a second address among variables is no mistake.
    """
    for source in (ParameterSource.COMMANDLINE, ParameterSource.DEFAULT_MAP):
        given = [name for name in (*TCP, *INSTEAD) if name in ctx.params and ctx.get_parameter_source(name) is source]
        kinds = [name for name in given if name in INSTEAD] + [name for name in given if name in TCP][-1:]
        if len(kinds) > 1:
            ctx.fail(f"--{kinds[-1]} and --{kinds[0]} both say where to listen; give one of them")
        if source is ParameterSource.COMMANDLINE and kinds and kinds[0] in TCP:
            for name in INSTEAD:  # what was typed comes before a variable and a file
                if name in ctx.params:
                    ctx.params[name] = None
