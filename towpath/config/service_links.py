"""Options that ignore the variables that Kubernetes makes of a Service.

One called `towpath` sets `TOWPATH_PORT=tcp://10.96.0.7:80` in every pod. These are addresses and not values of our options: a variable
that holds one counts as not set.
"""

from __future__ import annotations

import re

import click

LINK = re.compile(r"(tcp|udp|sctp)://\S+")
REPORTING = frozenset({"serve", "interface"})  #: commands that run on; the others answer one question


def is_link(value: str) -> bool:
    """True if a variable with this value counts as not set."""
    return LINK.fullmatch(value) is not None


class OptionIgnoringLinks(click.Option):
    """An option that ignores a service link in its variable, and reports it once at the start of a process."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """The value of the variable; None if it is not set or holds a link."""
        value = super().resolve_envvar_value(ctx)
        if value is None or not is_link(value):
            return value
        if ctx.command.name in REPORTING:
            names = [self.envvar] if isinstance(self.envvar, str) else self.envvar or [self.name]
            click.echo(f"towpath: {names[0]}={value} is Kubernetes' address of a Service, and is ignored", err=True)
        return None
