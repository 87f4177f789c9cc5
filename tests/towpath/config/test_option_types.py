"""Values on the command line: what is none is told in one sentence."""

from __future__ import annotations

from typing import Any

import click
import pytest

from towpath.config.option_types import HOST, MountPath, Seconds, Size, TrueOrFalse


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Seconds(), "nan"),
        (Seconds(), "inf"),
        (Seconds(), "-1"),
        (Seconds(), "x"),
        (MountPath(), "foo"),
        (Size(), "1 parsec"),
        (TrueOrFalse(), "maybe"),
        (TrueOrFalse(), ""),
    ],
)
def test_what_is_no_value_is_told(kind: click.ParamType[Any], value: str) -> None:
    """P12. `nan` passes every comparison with a limit, and would be found out far from here."""
    with pytest.raises(click.BadParameter):
        kind.convert(value, None, None)


@pytest.mark.parametrize(
    ("kind", "value", "meant"),
    [
        (Seconds(), "1.5", 1.5),
        (Seconds(), "0", 0.0),
        (MountPath(), "/api/", "/api"),
        (MountPath(), "", ""),
        (Size(), "2KiB", 2048),
        (TrueOrFalse(), "Yes", True),
        (TrueOrFalse(), "off", False),
    ],
)
def test_what_is_one_is_understood(kind: click.ParamType[Any], value: str, meant: object) -> None:
    """With its unit."""
    assert kind.convert(value, None, None) == meant


@pytest.mark.parametrize(
    ("given", "taken"), [("[::1]", "::1"), ("::", "::"), ("127.0.0.1", "127.0.0.1"), ("[x]", "[x]")]
)
def test_an_ipv6_address_may_be_in_brackets(given: str, taken: str) -> None:
    """As in a URL, and in `host:port`."""
    assert HOST.convert(given, None, None) == taken
