"""Each slot of a `serve` has one admin port, and always the same."""

from __future__ import annotations

import pytest

from towpath.errors import StartFailure
from towpath.runtime.admin_ports import check, check_apart, of_slot


def test_a_slot_has_a_port_by_its_number() -> None:
    """A list of targets for Prometheus is written once."""
    assert [of_slot(9100, slot) for slot in ("interface-0", "interface-3", "worker-0", "worker-12")] == [
        9100,
        9103,
        9200,
        9212,
    ]


def test_a_process_that_runs_alone_has_the_port_that_was_given() -> None:
    """In a container all have the same."""
    assert of_slot(9100, None) == 9100


def test_without_an_admin_port_no_slot_has_one() -> None:
    """0 is off, for every slot."""
    assert of_slot(0, "worker-3") == 0
    check(0, 1000, 8000)


def test_as_many_slots_as_fit_are_accepted_and_one_more_is_not() -> None:
    """Two processes never share a port."""
    check(9100, 100, 8)
    with pytest.raises(StartFailure, match=r"4 times --interfaces if not given"):
        check(9100, 101, 8)
    check(65_428, 1, 8)
    with pytest.raises(StartFailure, match="it would be 65536"):
        check(65_429, 1, 8)


@pytest.mark.parametrize(
    ("host", "admin_host", "clash"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("0.0.0.0", "127.0.0.1", True),
        ("127.0.0.1", "::", True),
        ("localhost", "127.0.0.1", True),
        ("10.0.0.1", "127.0.0.1", False),
    ],
)
def test_clients_and_metrics_have_a_port_each(host: str, admin_host: str, clash: bool) -> None:
    """P12. On two different addresses the same number is two ports."""
    slots = ["interface-0", "worker-0", "worker-7"]
    if not clash:
        check_apart(9100, slots, admin_host, host, 9207)
        return
    with pytest.raises(StartFailure) as raised:
        check_apart(9100, slots, admin_host, host, 9207)
    said = "admin port 9207 of worker-7 is the --port for clients too; it follows from --admin-port 9100"
    assert str(raised.value) == said
    with pytest.raises(StartFailure, match=r"^admin port 9100 is the --port for clients too$"):
        check_apart(9100, [None], admin_host, host, 9100)
    for port in (9101, 9208, 0):
        check_apart(9100, slots, admin_host, host, port)
    check_apart(0, slots, admin_host, host, 9100)
