"""Whether a process gives way to others of its fleet: decisions without a clock. P7."""

from __future__ import annotations

import pytest

from channel_layer.messaging.generations import YIELD_S, Generations


def test_a_process_yields_to_a_higher_number_of_its_fleet_and_only_for_a_while() -> None:
    """A rollout that stops half-way must not leave the older ones idle."""
    one = Generations("web/7")
    for other in ("web/7", "web/6", "mail/8", "8", "web/", "web/-8", "web/eight", ""):
        assert not one.announced(other, 100.0), other
    assert not one.yields_to_newer(100.0)
    assert one.announced("web/8", 100.0)
    assert one.yields_to_newer(100.0 + YIELD_S - 1)
    assert not one.yields_to_newer(100.0 + YIELD_S)


def test_who_is_of_no_fleet_yields_to_nobody() -> None:
    """As every worker that was not told anything."""
    nobody = Generations("")
    assert not nobody.announced("web/8", 100.0)
    assert not nobody.announced("/8", 100.0)
    with pytest.raises(ValueError, match="such as web/7"):
        Generations("seven")
