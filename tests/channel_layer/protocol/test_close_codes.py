"""Close codes of WebSockets: which may stand in a close frame."""

from __future__ import annotations

import pytest

from channel_layer.protocol.close_codes import REASON_SIZE_BYTES_MAX, may_travel


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999])
def test_registered_codes_and_those_of_applications_may_be_sent(code: int) -> None:
    """RFC 6455, 7.4."""
    assert may_travel(code)


@pytest.mark.parametrize("code", [1005, 1006, 1015])
def test_codes_that_stand_for_no_close_frame_are_never_in_one(code: int) -> None:
    """RFC 6455, 7.4.1."""
    assert not may_travel(code)


@pytest.mark.parametrize("code", [-1, 0, 999, 1004, 1016, 2000, 2999, 5000, 65_535])
def test_unassigned_codes_may_not_be_sent(code: int) -> None:
    assert not may_travel(code)


def test_a_code_and_its_longest_reason_fill_a_control_frame() -> None:
    """RFC 6455, 5.5: at most 125 bytes."""
    assert 2 + REASON_SIZE_BYTES_MAX == 125
