"""What click makes of a command line, for the tests of the options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
import pytest

from towpath.config import options
from towpath.config.options import ROWS


def parse(command: str, *words: str, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The values that click makes of `words` and of the environment."""
    found: dict[str, Any] = {}

    @options.options_of(command)
    @click.command(command)
    def target(**values: Any) -> None:
        found.update(values)

    with pytest.MonkeyPatch.context() as patch:
        for row in ROWS:
            for name in (row.env, *row.also_env):
                patch.delenv(name, raising=False)
        for name, value in (env or {}).items():
            patch.setenv(name, value)
        target.main(list(words), standalone_mode=False)
    return found
