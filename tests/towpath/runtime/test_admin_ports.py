"""Each slot of a `serve` has one admin port, and always the same."""

from __future__ import annotations

import pytest

from towpath.errors import StartFailure
from towpath.runtime.admin_ports import check, of_slot


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
    with pytest.raises(StartFailure, match="100 interface servers"):
        check(9100, 101, 8)
    check(65_428, 1, 8)
    with pytest.raises(StartFailure, match="it would be 65536"):
        check(65_429, 1, 8)
