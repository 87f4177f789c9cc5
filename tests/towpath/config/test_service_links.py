"""A variable that holds Kubernetes' address of a Service is none of ours."""

from __future__ import annotations

import pytest

from tests.towpath.config.parsing import parse
from towpath.config import option_row
from towpath.config.option_row import INTERFACE, SERVE, WORKER
from towpath.config.service_links import LINK


@pytest.mark.parametrize("command", sorted(option_row.FIND_SERVE | {INTERFACE}))
def test_the_address_of_a_kubernetes_service_is_no_value_of_ours(
    command: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """P12. A Service called `towpath` sets TOWPATH_PORT in every pod; `status`, `stop` and the others go on as if it had not."""
    said = parse(command, env={"TOWPATH_PORT": "tcp://10.96.0.7:80"})
    assert said["port"] == 8000
    assert parse(command, env={"TOWPATH_PORT": "81"})["port"] == 81
    assert ("TOWPATH_PORT=tcp://10.96.0.7:80" in capfd.readouterr().err) == (command in {SERVE, INTERFACE})


@pytest.mark.parametrize("value", ["tcp://10.96.0.7:80", "udp://[fd00::7]:53", "sctp://h:1"])
def test_what_kubernetes_makes_is_a_link(value: str) -> None:
    assert LINK.fullmatch(value)


@pytest.mark.parametrize("value", ["redis://10.96.0.7:6379", "80", "tcp://", "tcp://a b", "https://h", ""])
def test_what_it_never_makes_is_a_value(value: str) -> None:
    """A wrong one is to be reported as such."""
    assert not LINK.fullmatch(value)


def test_a_link_is_reported_by_the_name_of_its_variable(capfd: pytest.CaptureFixture[str]) -> None:
    """By that an operator finds it in the pod."""
    parsed = parse(SERVE, env={"TOWPATH_WORKERS": "tcp://10.96.0.7:80"})
    assert parsed["workers"] == 1
    assert "TOWPATH_WORKERS=tcp://10.96.0.7:80 is Kubernetes' address" in capfd.readouterr().err


def test_what_is_typed_is_never_a_link() -> None:
    """Only a variable can come from Kubernetes."""
    assert parse(WORKER, "--prefix", "tcp://mine:1")["prefix"] == "tcp://mine:1"
