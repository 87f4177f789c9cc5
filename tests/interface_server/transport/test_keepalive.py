"""Keepalive: when the kernel gives a silent client up, beside the time that a slow one has."""

from __future__ import annotations

import pytest

from interface_server.transport.keepalive import WRITE_TIMEOUT_S_MAX, KeepaliveSettings


@pytest.mark.parametrize("timeout_s", [0.0, 0.5, 1.0, 7.0, 60.0, 3600.0, 1e9])
def test_a_client_that_is_there_and_takes_nothing_is_found_by_us_first(timeout_s: float) -> None:
    """The write timeout ends it, and names it; the kernel knows no more than that it is silent."""
    found = KeepaliveSettings.beside(timeout_s)
    assert found.unacknowledged_s > min(timeout_s, WRITE_TIMEOUT_S_MAX)


def test_an_idle_client_is_probed_within_the_time_that_a_stalled_one_has() -> None:
    """After half of it the first probe, and three more before it is over."""
    found = KeepaliveSettings.beside(60.0)
    assert (found.idle_s, found.interval_s, found.unacknowledged_s) == (30, 10, 65.0)
    assert found.idle_s + 3 * found.interval_s <= 60


@pytest.mark.parametrize("timeout_s", [0.0, 0.1, 1.0, 1.9])
def test_the_kernel_gets_whole_seconds_and_never_none(timeout_s: float) -> None:
    """tcp(7): a zero is refused."""
    found = KeepaliveSettings.beside(timeout_s)
    assert (found.idle_s, found.interval_s) == (1, 1)


def test_a_timeout_without_an_end_stays_within_what_the_kernel_can_count() -> None:
    """tcp(7): TCP_KEEPIDLE ends at 32 767 s, TCP_USER_TIMEOUT counts milliseconds in 32 bits."""
    found = KeepaliveSettings.beside(1e12)
    assert found.idle_s <= 32_767 and found.interval_s <= 32_767
    assert found.unacknowledged_s * 1000 < 2**31
