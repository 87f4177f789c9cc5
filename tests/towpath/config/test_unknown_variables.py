"""A variable that is near to an option's and is none is told; others are left alone."""

from __future__ import annotations

import pytest

from towpath.commands import processes
from towpath.config.options import ROWS
from towpath.config.unknown_variables import OURS, mistyped

KNOWN = [row.env for row in ROWS]


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("TOWPATH_WROKERS", "TOWPATH_WORKERS"),
        ("TOWPATH_WS_MAXSIZE", "TOWPATH_WS_MAX_SIZE"),
        ("TOWPATH_LOGLEVEL", "TOWPATH_LOG_LEVEL"),
    ],
)
def test_a_mistyped_variable_is_told_the_right_one(variable: str, meant: str) -> None:
    assert mistyped([variable, "TOWPATH_WORKERS", "PATH"], KNOWN) == {variable: meant}


def test_variables_of_others_and_our_own_are_no_mistakes() -> None:
    """Kubernetes makes some of a Service, and Compose and `serve` have some that are no options."""
    service = ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT_80_TCP", "PORT_80_TCP_ADDR", "WEB_PORT")
    names = [f"TOWPATH_{name}" for name in (*service, *OURS, "OF_MY_PROJECT")]
    assert mistyped([*names, *KNOWN], KNOWN) == {}


def test_the_settings_in_force_come_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """One line and no error: another program may have such a variable."""
    monkeypatch.setenv("TOWPATH_WROKERS", "3")
    processes.interface.make_context("interface", [])
    line = "towpath: no option has TOWPATH_WROKERS; did you mean TOWPATH_WORKERS?\n"
    assert capfd.readouterr().err == line
